// What a Node file of cases starts from; `suite.py` says how it works, and `run.py` starts it.

const CASES = []

export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
export const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
}
export const PARIS = '[[tool:get_weather {"city":"Paris"}]]'
export const ROME = '[[tool:get_weather {"city":"Rome"}]]'

/** Adds a case, or one for each of `models`. */
export function add(name, models, run) {
  if (run === undefined) CASES.push({ name, run: models })
  else for (const model of models) CASES.push({ name: `${name}[${model}]`, run, model })
}

/** Fails with both values. */
export function same(got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`it is ${JSON.stringify(got)}, not ${JSON.stringify(want)}`)
}

/** Fails with what should have held. */
export function holds(truth, what) {
  if (!truth) throw new Error(typeof what === 'string' ? what : JSON.stringify(what))
}

/** The error of this kind that the call ends in. */
export async function rejects(kind, call) {
  let got
  try {
    got = await call()
  } catch (error) {
    if (error instanceof kind) return error
    throw error
  }
  throw new Error(`no ${kind.name}, but ${JSON.stringify(got)}`)
}

/** Runs the cases whose names are given, or all; tells each in a line of JSON. */
export async function main() {
  const wanted = process.argv.slice(2)
  if (wanted[0] === '--list') {
    for (const { name } of CASES) console.log(name)
    return
  }
  const nodes = process.env.DUNLIN_NODES.split(',')
  for (const [at, { name, run, model }] of CASES.entries()) {
    if (wanted.length && !wanted.includes(name)) continue
    tell({ start: name })
    const began = performance.now()
    const url = nodes[at % nodes.length]
    let reason = null
    try {
      await run({ url, v1: `${url}/v1`, key: process.env.DUNLIN_MASTER_KEY, model: model ?? 'chat' })
    } catch (error) {
      const where = /\/(\w+\.mjs:\d+)/.exec((error.stack ?? '').split('\n').find((line) => /_node\.mjs/.test(line)) ?? '')
      reason = `${where ? `${where[1]}: ` : ''}${error} (on ${url})`.replace(/\s+/g, ' ').slice(0, 800)
    }
    tell({ case: name, ok: reason === null, reason, seconds: Math.round(performance.now() - began) / 1000 })
  }
}

function tell(what) {
  console.log(JSON.stringify(what))
}
