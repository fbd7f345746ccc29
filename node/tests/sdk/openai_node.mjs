// OpenAI's own SDK for Node, and its client for Azure.

import OpenAI, { AzureOpenAI, toFile } from 'openai'

import { PARIS, PNG, ROME, WEATHER, add, holds, main, rejects, same } from './suite.mjs'

const CHATS = ['chat', 'claude', 'vllm', 'ollama', 'responses']
const tools = [{ type: 'function', function: { name: 'get_weather', parameters: WEATHER } }]
const sdk = (on, more) => new OpenAI({ baseURL: on.v1, apiKey: on.key, maxRetries: 0, ...more })
const say = (content) => [{ role: 'user', content }]
const chat = (on, text, more) => sdk(on).chat.completions.create({ model: on.model, messages: say(text), ...more })

async function textOf(stream) {
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? ''
  return text
}

add('whole', CHATS, async (on) => {
  const reply = await chat(on, '[[say:good day]]')
  same([reply.choices[0].message.content, reply.model], ['good day', on.model])
  holds(reply.usage.total_tokens > 0, reply.usage)
})

add('stream', CHATS, async (on) => {
  same(await textOf(await chat(on, '[[say:good day]]', { stream: true })), 'good day')
})

add('stream_with_usage', CHATS, async (on) => {
  let usage
  const stream = await chat(on, '[[say:good day]]', { stream: true, stream_options: { include_usage: true } })
  for await (const chunk of stream) usage = chunk.usage ?? usage
  holds(usage?.total_tokens > 0, { usage })
})

add('stream_helper_with_tools', CHATS, async (on) => {
  const stream = sdk(on).chat.completions.stream({ model: on.model, messages: say(PARIS + ROME), tools })
  const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0]
  same(message.tool_calls.map((call) => JSON.parse(call.function.arguments).city), ['Paris', 'Rome'])
  same(finish_reason, 'tool_calls')
})

add('tools', CHATS, async (on) => {
  const { message } = (await chat(on, PARIS, { tools })).choices[0]
  const answer = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '21 degrees' }
  const messages = [...say(PARIS), message, answer]
  const told = await sdk(on).chat.completions.create({ model: on.model, messages, tools })
  holds(told.choices[0].message.content.includes('21 degrees'), told.choices[0])
})

add('vision', CHATS, async (on) => {
  const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }
  const reply = await chat(on, [{ type: 'text', text: '[[say:a dot]]' }, image])
  same(reply.choices[0].message.content, 'a dot')
})

add('embeddings', ['chat', 'vllm'], async (on) => {
  const coded = await sdk(on).embeddings.create({ model: on.model, input: ['a', 'b'] })
  const plain = await sdk(on).embeddings.create({ model: on.model, input: ['a', 'b'], encoding_format: 'float' })
  const round = (reply) => reply.data.map((each) => [...each.embedding].map((x) => x.toFixed(5)))
  same(round(coded), round(plain))
})

add('response', CHATS, async (on) => {
  const reply = await sdk(on).responses.create({ model: on.model, input: '[[say:good day]]' })
  same([reply.output_text, reply.status], ['good day', 'completed'])
})

add('response_stream', CHATS, async (on) => {
  const stream = sdk(on).responses.stream({ model: on.model, input: '[[say:good day]]' })
  same((await stream.finalResponse()).output_text, 'good day')
})

add('models', async (on) => {
  const names = []
  for await (const model of sdk(on).models.list()) names.push(model.id)
  holds(CHATS.every((name) => names.includes(name)), names)
})

add('transcription', async (on) => {
  const file = await toFile(Buffer.from('RIFF....WAVEfmt '), 'sound.wav', { type: 'audio/wav' })
  holds((await sdk(on).audio.transcriptions.create({ model: 'chat', file })).text, 'no text')
})

add('speech', async (on) => {
  const reply = await sdk(on).audio.speech.create({ model: 'chat', voice: 'alloy', input: 'hello' })
  holds((await reply.arrayBuffer()).byteLength > 10, 'no sound')
})

add('images', async (on) => {
  const made = await sdk(on).images.generate({ model: 'chat', prompt: 'a dot', response_format: 'b64_json' })
  holds(made.data[0].b64_json, made)
})

add('azure', ['chat', 'claude'], async (on) => {
  const azure = new AzureOpenAI({ endpoint: on.url, apiKey: on.key, apiVersion: '2024-10-21', maxRetries: 0 })
  const reply = await azure.chat.completions.create({ model: on.model, messages: say('[[say:good day]]') })
  same(reply.choices[0].message.content, 'good day')
})

add('errors', async (on) => {
  const ask = (more, messages) => sdk(on, more).chat.completions.create({ model: 'chat', messages: say(messages) })
  same((await rejects(OpenAI.AuthenticationError, () => ask({ apiKey: 'sk-nobody-knows-this-key' }, 'hi'))).status, 401)
  same((await rejects(OpenAI.InternalServerError, () => ask({}, '[[status:500]]'))).status, 500)
  same((await rejects(OpenAI.RateLimitError, () => ask({}, '[[status:429]]'))).status, 429)
})

add('stream_that_breaks', CHATS, async (on) => {
  for (const fault of ['error 3', 'reset 3', 'cut 3']) {
    await rejects(Error, async () => textOf(await chat(on, `[[fault:${fault}]][[tokens:9]]`, { stream: true })))
  }
})

await main()
