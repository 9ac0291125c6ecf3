// Mixpanel's Node SDK as a worker: JSON lines in, JSON lines out, definitions injected instead of fetched.
//
// {"command": "evaluate", …} as in python_worker.py.
// {"command": "conditions", …}: for each document, context and rollout, whether the condition holds in the SDK (`own`) and by the
// documentation (`wanted`), and the row that explains a difference (`row`). `wanted` is evaluated by a separate copy of json-logic-js.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");

const modules = process.argv[2];
const load = (name) => require(path.join(modules, name));
const Provider = load("mixpanel/lib/flags/local_flags.js");
const { lowercaseAllKeysAndValues, lowercaseLeafNodes } = load("mixpanel/lib/flags/utils.js");
const { semverCompare, datetimeCompare } = load("mixpanel/lib/flags/custom_operators.js");

for (const [name, wanted] of [["mixpanel", "0.24.0"], ["json-logic-js", "2.0.5"]]) {
  const found = load(`${name}/package.json`).version;
  if (found !== wanted) throw new Error(`expected ${name}@${wanted}, found ${found}`);
}

// The operator `log` prints its operand, and standard output is for replies.
console.log = () => {};

// A second json-logic-js, without what the SDK adds to its own.
const logicFile = require.resolve(path.join(modules, "json-logic-js"));
delete require.cache[logicFile];
const documented = require(logicFile);
documented.add_operation("semver_compare", semverCompare);
documented.add_operation("datetime_compare", datetimeCompare);
delete require.cache[logicFile];
const inheriting = require(logicFile);
inheriting.add_operation("semver_compare", semverCompare);
inheriting.add_operation("datetime_compare", datetimeCompare);

// A documented deviation: `var` reads own properties, array indexes and `length`.
documented.add_operation("var", function (key, otherwise) {
  const none = otherwise === undefined ? null : otherwise;
  if (key === undefined || key === "" || key === null) return this;
  let data = this;
  for (const name of String(key).split(".")) {
    if (data === null || data === undefined || !Object.hasOwn(Object(data), name)) return none;
    data = data[name];
    if (data === undefined) return none;
  }
  return data;
});

const provider = new Provider("token", { enable_polling: false }, () => {}, null, null);

async function loadDocument(text) {
  provider.flagDefinitions = new Map();
  provider.callFlagsEndpoint = async () => JSON.parse(text);
  try {
    await provider._fetchFlagDefinitions();
  } catch {
    // A document that it cannot read leaves the definitions as they were: empty.
  }
}

function select(key, context) {
  let got;
  try {
    got = provider.getVariant(key, { variant_value: null }, context, false);
  } catch (error) {
    return ["raised", error.name];
  }
  if (got.fallback_reason) {
    const kinds = { FLAG_NOT_FOUND: "not_found", MISSING_CONTEXT_KEY: "missing", NO_ROLLOUT_MATCH: "no_match" };
    return [kinds[got.fallback_reason.kind] ?? got.fallback_reason.kind];
  }
  const active = got.is_experiment_active ?? null;
  return ["variant", got.variant_key, got.variant_value ?? null, got.experiment_id ?? null, active, got.is_qa_tester];
}

function evaluate(item) {
  const seen = new Map();
  const distinct = [];
  const picks = item.contexts.map((text) => {
    const got = select(item.key, JSON.parse(text));
    const name = JSON.stringify(got);
    if (!seen.has(name)) {
      seen.set(name, distinct.length);
      distinct.push(got);
    }
    return seen.get(name);
  });
  return { distinct, picks };
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isEmpty = (value) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

// The result of a rule by the documentation: an error is no match.
function result(engine, rule, data) {
  try {
    return engine.apply(lowercaseLeafNodes(rule), lowercaseAllKeysAndValues(data));
  } catch {
    return false;
  }
}

function legacyHolds(definition, data) {
  const folded = lowercaseAllKeysAndValues(data);
  return Object.entries(definition).every(([name, expected]) => {
    const key = name.toLowerCase();
    return Object.hasOwn(folded, key) && String(folded[key]).toLowerCase() === String(expected).toLowerCase();
  });
}

function wanted(rollout, data) {
  const rule = isEmpty(rollout.runtime_evaluation_rule) ? null : rollout.runtime_evaluation_rule;
  const legacy = rollout.runtime_evaluation_definition;
  if (rule) return isObject(data) && documented.truthy(result(documented, rule, data));
  if (!legacy || isEmpty(legacy)) return true;
  return isObject(data) && legacyHolds(legacy, data);
}

// Why the SDK's decision differs from the documented one: a row id of docs/differences.md, or null.
function row(rollout, data, own) {
  const rule = rollout.runtime_evaluation_rule;
  const legacy = rollout.runtime_evaluation_definition;
  if (rule && isEmpty(rule)) return "rule-empty";
  if (!rule && legacy && isEmpty(legacy) && !(data && typeof data === "object")) return "legacy-empty";
  if (!isObject(data)) return "rule-no-properties";
  if (!rule) return Object.keys(legacy).some((name) => name !== name.toLowerCase()) ? "legacy-capitals" : null;
  const raw = result(documented, rule, data);
  if (own && Array.isArray(raw) && raw.length === 0) return "rule-truth";
  if (own === Boolean(result(inheriting, rule, data))) return "rule-inherited";
  return null;
}

function conditions(item) {
  const flag = provider.flagDefinitions.get(item.key);
  return item.contexts.map((text) => {
    const context = JSON.parse(text);
    const data = context.custom_properties;
    return flag.ruleset.rollout.map((rollout) => {
      let own;
      try {
        own = Boolean(provider._isRuntimeEvaluationSatisfied(rollout, context));
      } catch (error) {
        own = error.name;
      }
      const documentation = wanted(rollout, data);
      return { own, wanted: documentation, row: own === documentation ? null : row(rollout, data, own) };
    });
  });
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const command = { evaluate, conditions }[request.command];
    const replies = [];
    for (const item of request.documents) {
      await loadDocument(item.document);
      replies.push(command(item));
    }
    fs.writeSync(1, JSON.stringify(replies) + "\n");
  }
}

main();
