// Calls a gateway by the AI SDK and its providers. Reads one operation a line from standard input, writes one outcome a
// line.

import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";

const schema = jsonSchema({
  type: "object",
  properties: { text: { type: "string" } },
  required: ["text"],
  additionalProperties: false,
});

/** The providers, each with the base URL in the form that it wants. */
const providers = {
  responses: ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).responses,
  chat: ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat,
  anthropic: ({ url, key }) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key }),
  compatible: ({ url, key }) =>
    createOpenAICompatible({
      name: "gateway",
      baseURL: `${url}/v1`,
      apiKey: key,
      includeUsage: true,
      supportsStructuredOutputs: true,
    }),
  openrouter: ({ url, key }) => createOpenRouter({ baseURL: `${url}/api/v1`, apiKey: key, compatibility: "strict" }),
};

/** What a call of the SDK wants beside the model. */
function request({ image, tools, shape, max_retries }) {
  const text = { type: "text", text: "How much is the toll?" };
  const content = image ? [text, { type: "file", data: image, mediaType: "image/png" }] : [text];
  const asked = { system: "Be brief.", messages: [{ role: "user", content }], maxRetries: max_retries };
  if (tools) {
    const said = (name, result) =>
      tool({ description: `Says the ${name}.`, inputSchema: schema, execute: async () => result });
    asked.tools = { toll: said("toll", "3"), greet: said("greeting", "hello") };
    asked.stopWhen = stepCountIs(3);
  }
  if (shape) asked.output = Output.object({ schema });
  return asked;
}

async function ended(answer, shape) {
  const steps = await answer.steps;
  return {
    text: await answer.text,
    object: shape ? await answer.output : null,
    calls: steps.map((step) => step.toolCalls.map(({ toolName, input }) => ({ name: toolName, input }))),
    usages: steps.map((step) => step.usage),
  };
}

async function generate(model, call) {
  return ended(await generateText({ model, ...request(call) }), call.shape);
}

async function stream(model, call) {
  let chunks = 0;
  let failure;
  const answer = streamText({ model, ...request(call), onError: ({ error }) => (failure = error) });
  for await (const part of answer.fullStream) chunks += part.type === "text-delta" ? 1 : 0;
  if (failure) throw failure;
  return { chunks, ...(await ended(answer, call.shape)) };
}

async function embed(_model, { url, key, name, values }) {
  const model = createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).embedding(name);
  const { embeddings, usage } = await embedMany({ model, values });
  return { embeddings, usage };
}

const operations = { generate, stream, embed };

async function perform(call) {
  try {
    const model = call.op === "embed" ? null : providers[call.provider](call)(call.name);
    return await operations[call.op](model, call);
  } catch (caught) {
    // After retries the SDK shows the last of its errors inside another one.
    const error = caught.lastError ?? caught;
    const { name, message, statusCode = null, isRetryable = null, responseHeaders = {} } = error;
    const retry_after = responseHeaders?.["retry-after"] ?? null;
    return { error: { name, message, status: statusCode, retryable: isRetryable, retry_after } };
  }
}

globalThis.AI_SDK_LOG_WARNINGS = false;
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await perform(JSON.parse(line))));
}
