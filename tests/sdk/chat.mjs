// The official Node.js SDK, unmodified, against a running gateway. Base URL and keys come from the environment.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_MODULES}/`);
const OpenAI = require("openai").default;

const model = process.env.MODEL;
const toolsModel = process.env.TOOLS_MODEL;
const client = new OpenAI({ maxRetries: 0, timeout: 120_000 }); // OPENAI_BASE_URL and OPENAI_API_KEY

const listed = (await client.models.list()).data.map((m) => m.id);
assert(listed.includes(model), listed.join());
assert.equal((await client.models.retrieve(model)).id, model);

const hello = [{ role: "user", content: "Say hello." }];
const plain = await client.chat.completions.create({ model, messages: hello, max_tokens: 24, temperature: 0 });
assert(plain.choices[0].message.content);
assert.equal(plain.usage.total_tokens, plain.usage.prompt_tokens + plain.usage.completion_tokens);

let text = "";
let usage;
const stream = await client.chat.completions.create({
  model, messages: hello, max_tokens: 24, temperature: 0, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  usage = chunk.usage ?? usage;
  text += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(text, plain.choices[0].message.content);
assert.equal(usage.completion_tokens, plain.usage.completion_tokens);

const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const asked = [{ role: "user", content: "What is the weather in Oslo?" }];
const first = await client.chat.completions.create({ model: toolsModel, messages: asked, tools: [weather] });
const call = first.choices[0].message.tool_calls[0];
assert.equal(call.function.name, "weather");
const second = await client.chat.completions.create({
  model: toolsModel,
  messages: [...asked, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: '{"celsius": 4}' }],
  tools: [weather],
});
assert(second.choices[0].message.content);

async function refused(kind, status, code, body, by = client) {
  await assert.rejects(by.chat.completions.create(body), (error) => {
    assert(error instanceof kind, error);
    assert.equal(error.status, status);
    assert.equal(error.code, code);
    return true;
  });
}
const wrong = new OpenAI({ apiKey: "wrong", maxRetries: 0 });
await refused(OpenAI.AuthenticationError, 401, "invalid_api_key", { model, messages: hello }, wrong);
await refused(OpenAI.NotFoundError, 404, "model_not_found", { model: "no-such-model", messages: hello });
await refused(OpenAI.BadRequestError, 400, "unknown_parameter", { model, messages: hello, api_base: "http://x" });
console.log("chatted: plain, streamed, tools, errors");
