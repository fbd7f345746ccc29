// Vercel's AI SDK: its provider for compatible servers, and OpenAI's with responses.

import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'

import { PARIS, add, holds, main, rejects, same } from './suite.mjs'

const CHATS = ['chat', 'claude', 'vllm', 'responses']
const ways = {
  compatible: (on) => createOpenAICompatible({ name: 'dunlin', baseURL: on.v1, apiKey: on.key, includeUsage: true })(on.model),
  responses: (on) => createOpenAI({ baseURL: on.v1, apiKey: on.key })(on.model),
}
const weather = tool({
  description: 'the weather',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `21 degrees in ${city}`,
})

for (const [way, model] of Object.entries(ways)) {
  add(`generate_text_${way}`, CHATS, async (on) => {
    const { text, usage } = await generateText({ model: model(on), prompt: '[[say:good day]]', maxRetries: 0 })
    same(text, 'good day')
    holds(usage.totalTokens > 0, usage)
  })

  add(`stream_text_${way}`, CHATS, async (on) => {
    const result = streamText({ model: model(on), prompt: '[[say:good day]]', maxRetries: 0 })
    let text = ''
    for await (const piece of result.textStream) text += piece
    same([text, await result.finishReason], ['good day', 'stop'])
    holds((await result.usage).totalTokens > 0, await result.usage)
  })

  add(`tools_${way}`, CHATS, async (on) => {
    const { text, steps } = await generateText({
      model: model(on), prompt: PARIS, tools: { get_weather: weather }, stopWhen: stepCountIs(3), maxRetries: 0,
    })
    same(steps[0].toolCalls[0].input, { city: 'Paris' })
    holds(text.includes('21 degrees'), text)
  })
}

add('object', CHATS, async (on) => {
  const schema = z.object({ name: z.string(), population: z.number() })
  const openai = createOpenAI({ baseURL: on.v1, apiKey: on.key }).chat(on.model)
  const { object } = await generateObject({ model: openai, schema, prompt: 'a city', maxRetries: 0 })
  same(Object.keys(object).sort(), ['name', 'population'])
})

add('embeddings', ['chat', 'vllm'], async (on) => {
  const provider = createOpenAICompatible({ name: 'dunlin', baseURL: on.v1, apiKey: on.key })
  const { embeddings } = await embedMany({ model: provider.embeddingModel(on.model), values: ['a', 'b'], maxRetries: 0 })
  same(embeddings.length, 2)
})

add('errors', async (on) => {
  const call = () => generateText({ model: ways.compatible(on), prompt: '[[status:500]]', maxRetries: 0 })
  same((await rejects(Error, call)).statusCode, 500)
})

await main()
