// Calls a gateway with the official SDKs. Reads one operation a line from standard input, writes one outcome a line.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI, { toFile } from "openai";

async function chat(client, { params, headers }) {
  const { data, request_id } = await client.chat.completions.create(params, { headers }).withResponse();
  const texts = data.choices.map((choice) => choice.message.content);
  return { request_id, texts, usage: data.usage, answer: data };
}

async function stream(client, { params, headers, cancel_after }, outcome) {
  const { data, request_id } = await client.chat.completions
    .create({ ...params, stream: true }, { headers })
    .withResponse();
  outcome.request_id = request_id;
  for await (const chunk of data) {
    outcome.chunks += 1;
    outcome.empty_choices += chunk.choices.length === 0 ? 1 : 0;
    outcome.usage = chunk.usage ?? outcome.usage;
    for (const { index, delta } of chunk.choices) {
      outcome.texts[index] = (outcome.texts[index] ?? "") + (delta.content ?? "");
    }
    if (outcome.chunks === cancel_after) {
      // Leaving the loop is how an application hangs up: the SDK aborts the request.
      break;
    }
  }
}

async function chat_helper(client, { params }) {
  const stream = client.chat.completions.stream(params);
  let chunks = 0;
  for await (const _chunk of stream) chunks += 1;
  return { chunks, answer: await stream.finalChatCompletion() };
}

const said = { type: "object", properties: { text: { type: "string" } }, required: ["text"], additionalProperties: false };

async function chat_parse(client, { params }) {
  const response_format = { type: "json_schema", json_schema: { name: "said", strict: true, schema: said } };
  const answer = await client.chat.completions.parse({ ...params, response_format });
  return { texts: [JSON.parse(answer.choices[0].message.content).text] };
}

function endOfResponse(answer) {
  return { usage: answer.usage, answer };
}

async function respond(client, { params, headers }) {
  const { data, request_id } = await client.responses.create(params, { headers }).withResponse();
  return { request_id, texts: [data.output_text], ...endOfResponse(data) };
}

async function respond_stream(client, { params, cancel_after }, outcome) {
  const { data, request_id } = await client.responses.create({ ...params, stream: true }).withResponse();
  outcome.request_id = request_id;
  outcome.texts = [""];
  for await (const event of data) {
    outcome.chunks += 1;
    outcome.events.push(event.type);
    if (event.type === "response.output_text.delta") outcome.texts[0] += event.delta;
    if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) {
      Object.assign(outcome, endOfResponse(event.response));
    }
    if (outcome.chunks === cancel_after) break;
  }
}

async function respond_helper(client, { params }) {
  const stream = client.responses.stream(params);
  const events = [];
  for await (const event of stream) events.push(event.type);
  const answer = await stream.finalResponse();
  return { events, texts: [answer.output_text], ...endOfResponse(answer) };
}

async function respond_parse(client, { params }) {
  const format = { type: "json_schema", name: "said", strict: true, schema: said };
  const { data, request_id } = await client.responses.parse({ ...params, text: { format } }).withResponse();
  return { request_id, texts: [data.output_parsed.text] };
}

async function kept_response(client, { params: { id, call } }) {
  const calls = {
    retrieve: () => client.responses.retrieve(id),
    delete: () => client.responses.delete(id),
    cancel: () => client.responses.cancel(id),
    input_items: () => client.responses.inputItems.list(id),
  };
  await calls[call]();
}

async function embed(client, { params }) {
  const { data, request_id } = await client.embeddings.create(params).withResponse();
  return { request_id, usage: data.usage, answer: data };
}

async function speak(client, { params, cancel_after }, outcome) {
  const answer = await client.audio.speech.create(params);
  outcome.answer = { type: answer.headers.get("content-type"), bytes: 0 };
  for await (const piece of answer.body) {
    outcome.chunks += 1;
    outcome.answer.bytes += piece.length;
    if (outcome.chunks === cancel_after) break;
  }
}

async function file(given) {
  return await toFile(Buffer.from(given.base64, "base64"), given.name, { type: given.type });
}

async function hear(client, { task, params, cancel_after }, outcome) {
  const made = await client.audio[task].create({ ...params, file: await file(params.file) });
  if (!params.stream) {
    outcome.texts = [typeof made === "string" ? made : made.text];
    outcome.usage = made.usage ?? null;
    return;
  }
  for await (const event of made) {
    outcome.chunks += 1;
    outcome.events.push(event.type);
    outcome.usage = event.usage ?? outcome.usage;
    if (outcome.chunks === cancel_after) break;
  }
}

async function edit(client, { params }) {
  const image = await Promise.all(params.image.map(file));
  const answer = await client.images.edit({ ...params, image });
  return { usage: answer.usage, answer: { images: answer.data.length } };
}

async function models(client) {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  return { answer: ids };
}

async function model(client, { params }) {
  return { answer: await client.models.retrieve(params.id) };
}

async function claude_message(client, { params }) {
  const { data, request_id } = await client.messages.create(params).withResponse();
  return { request_id, usage: data.usage, answer: data };
}

async function claude_stream(client, { params, cancel_after }, outcome) {
  const stream = client.messages.stream(params);
  const { request_id } = await stream.withResponse();
  outcome.request_id = request_id;
  for await (const event of stream) {
    outcome.chunks += event.type === "content_block_delta" ? 1 : 0;
    if (outcome.chunks === cancel_after) {
      stream.abort();
      return;
    }
  }
  outcome.answer = await stream.finalMessage();
  outcome.usage = outcome.answer.usage;
}

async function claude_count(client, { params }) {
  return { answer: (await client.messages.countTokens(params)).input_tokens };
}

/** The settings' names and schemas' types as this SDK has them. */
function camel(value) {
  if (Array.isArray(value)) return value.map(camel);
  if (value === null || typeof value !== "object") return value;
  const name = (text) => text.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [name(key), camel(inner)]));
}

function endOfContent(answer) {
  const request_id = answer.sdkHttpResponse.headers["x-request-id"];
  return { request_id, usage: answer.usageMetadata ?? null, answer: { candidates: answer.candidates } };
}

async function gemini_generate(client, { params }) {
  const answer = await client.models.generateContent(camel(params));
  return { texts: [answer.text ?? ""], ...endOfContent(answer) };
}

async function gemini_stream(client, { params, cancel_after }, outcome) {
  const leaving = new AbortController();
  const { config, ...rest } = camel(params);
  const asked = { ...rest, config: { ...config, abortSignal: leaving.signal } };
  outcome.texts = [""];
  for await (const chunk of await client.models.generateContentStream(asked)) {
    outcome.chunks += 1;
    outcome.texts[0] += chunk.text ?? "";
    Object.assign(outcome, endOfContent(chunk));
    if (outcome.chunks === cancel_after) {
      leaving.abort();
      return;
    }
  }
}

async function gemini_count(client, { params }) {
  return { answer: (await client.models.countTokens(camel(params))).totalTokens };
}

async function gemini_models(client) {
  const names = [];
  for await (const model of await client.models.list()) names.push(model.name);
  return { answer: names };
}

async function gemini_model(client, { params }) {
  return { answer: await client.models.get(params) };
}

const operations = {
  speak,
  hear,
  edit,
  chat,
  stream,
  chat_helper,
  chat_parse,
  respond,
  respond_stream,
  respond_helper,
  respond_parse,
  kept_response,
  embed,
  models,
  model,
  claude_message,
  claude_stream,
  claude_count,
  claude_models: models,
  gemini_generate,
  gemini_stream,
  gemini_count,
  gemini_models,
  gemini_model,
};

/** What Anthropic's errors say, where OpenAI's have members of their own. */
function told(error) {
  const body = error.error?.error ?? {};
  const code = error.code ?? body.details?.error_code ?? null;
  return { code, type: body.type ?? error.type ?? null, param: error.param ?? body.param ?? null };
}

/** Google's errors have the body as a text. */
function toldByGoogle(message) {
  const error = JSON.parse(message.slice(message.indexOf("{"))).error;
  const details = error.details ?? [];
  const info = details.find((detail) => detail.reason) ?? {};
  const param = details.find((detail) => detail.fieldViolations)?.fieldViolations[0].field ?? null;
  const request_id = info.metadata?.request_id ?? null;
  return { code: info.reason ?? null, type: error.status, param, request_id, message: error.message, status: error.code };
}

function clientFor({ base_url, root, gemini, version, key, timeout_ms, max_retries }) {
  if (gemini) {
    const httpOptions = { baseUrl: gemini, timeout: timeout_ms, ...(version && { apiVersion: version }) };
    return new GoogleGenAI({ apiKey: key, httpOptions });
  }
  const options = { apiKey: key, timeout: timeout_ms, maxRetries: max_retries };
  return root ? new Anthropic({ baseURL: root, ...options }) : new OpenAI({ baseURL: base_url, ...options });
}

async function perform({ op, ...rest }) {
  const client = clientFor(rest);
  const counts = { chunks: 0, empty_choices: 0, events: [] };
  const outcome = { request_id: null, texts: [], usage: null, answer: null, ...counts, error: null };
  try {
    Object.assign(outcome, await operations[op](client, rest, outcome));
  } catch (error) {
    const { status = null, requestID = null, message } = error;
    const own = { name: error.constructor.name, status, ...told(error), request_id: requestID, message };
    outcome.error = rest.gemini && message.includes("{") ? { ...own, ...toldByGoogle(message) } : own;
  }
  return outcome;
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await perform(JSON.parse(line))));
}
