// Anthropic's own SDK for Node, on Anthropic's and on other backends.

import Anthropic from '@anthropic-ai/sdk'

import { PARIS, ROME, WEATHER, add, holds, main, rejects, same } from './suite.mjs'

const CHATS = ['claude', 'chat', 'vllm', 'ollama', 'responses']
const tools = [{ name: 'get_weather', input_schema: WEATHER }]
const sdk = (on, more) => new Anthropic({ baseURL: on.url, apiKey: on.key, maxRetries: 0, ...more })
const say = (content) => [{ role: 'user', content }]
const asking = (on, text, more) => ({ model: on.model, max_tokens: 64, messages: say(text), ...more })

add('whole', CHATS, async (on) => {
  const reply = await sdk(on).messages.create(asking(on, '[[say:good day]]', { system: 'be kind' }))
  same([reply.content[0].text, reply.model, reply.stop_reason], ['good day', on.model, 'end_turn'])
  holds(reply.usage.input_tokens > 0 && reply.usage.output_tokens > 0, reply.usage)
})

add('bearer', async (on) => {
  const client = sdk(on, { apiKey: null, authToken: on.key })
  same((await client.messages.create(asking(on, '[[say:good day]]'))).content[0].text, 'good day')
})

add('stream', CHATS, async (on) => {
  const stream = sdk(on).messages.stream(asking(on, '[[say:good day]]'))
  same((await stream.finalMessage()).content[0].text, 'good day')
})

add('stream_tools', CHATS, async (on) => {
  const final = await sdk(on).messages.stream(asking(on, PARIS + ROME, { tools })).finalMessage()
  const calls = final.content.filter((block) => block.type === 'tool_use')
  same(calls.map((call) => call.input.city), ['Paris', 'Rome'])
  same(final.stop_reason, 'tool_use')
})

add('thinking', ['claude', 'chat'], async (on) => {
  const thinking = { type: 'enabled', budget_tokens: 1024 }
  const ask = asking(on, '[[think:let me see]][[say:yes]]', { max_tokens: 4096, thinking })
  const final = await sdk(on).messages.stream(ask).finalMessage()
  same(final.content.map((block) => block.type), ['thinking', 'text'])
})

add('count_tokens', CHATS, async (on) => {
  const { input_tokens } = await sdk(on).messages.countTokens({ model: on.model, messages: say('hi there') })
  holds(input_tokens > 0, { input_tokens })
})

add('errors', CHATS, async (on) => {
  const ask = (more, text) => sdk(on, more).messages.create(asking(on, text))
  same((await rejects(Anthropic.AuthenticationError, () => ask({ apiKey: 'sk-nobody-knows-this-key' }, 'hi'))).status, 401)
  same((await rejects(Anthropic.InternalServerError, () => ask({}, '[[status:500]]'))).status, 500)
})

add('stream_that_breaks', CHATS, async (on) => {
  for (const fault of ['error 3', 'reset 3', 'cut 3']) {
    const text = `[[fault:${fault}]][[tokens:9]]`
    await rejects(Anthropic.AnthropicError, () => sdk(on).messages.stream(asking(on, text)).finalMessage())
  }
})

await main()
