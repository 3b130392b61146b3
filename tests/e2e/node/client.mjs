// Calls a gateway with the official SDK. Reads one operation a line from standard input, writes one outcome a line.

import { createInterface } from "node:readline";
import OpenAI from "openai";

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

async function embed(client, { params }) {
  const { data, request_id } = await client.embeddings.create(params).withResponse();
  return { request_id, usage: data.usage, answer: data };
}

async function models(client) {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  return { answer: ids };
}

async function model(client, { params }) {
  return { answer: await client.models.retrieve(params.id) };
}

const operations = { chat, stream, embed, models, model };

async function perform({ op, base_url, key, timeout_ms, max_retries, ...rest }) {
  const client = new OpenAI({ baseURL: base_url, apiKey: key, timeout: timeout_ms, maxRetries: max_retries });
  const outcome = { request_id: null, texts: [], usage: null, answer: null, chunks: 0, empty_choices: 0, error: null };
  try {
    Object.assign(outcome, await operations[op](client, rest, outcome));
  } catch (error) {
    const { status = null, code = null, type = null, param = null, requestID = null, message } = error;
    outcome.error = { name: error.constructor.name, status, code, type, param, request_id: requestID, message };
  }
  return outcome;
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await perform(JSON.parse(line))));
}
