// Mixpanel's Node SDK as a worker: JSON lines in, JSON lines out, definitions injected instead of fetched.
//
// {"ask": "evaluate", …} as in python_worker.py.
// {"ask": "conditions", …}: per document and context, for each group: what the SDK came to (`own`), what the documentation says
// (`wanted`), and if they differ why (`row`). `wanted` comes from json-logic-js itself, loaded once more.
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
  if (found !== wanted) throw new Error(`${name}@${wanted} is wanted, found ${found}`);
}

// The operator `log` prints what it is given, and standard output carries the answers.
console.log = () => {};

// A second json-logic-js: what the SDK adds to its own stays out of it.
const logicFile = require.resolve(path.join(modules, "json-logic-js"));
delete require.cache[logicFile];
const documented = require(logicFile);
documented.add_operation("semver_compare", semverCompare);
documented.add_operation("datetime_compare", datetimeCompare);
delete require.cache[logicFile];
const inheriting = require(logicFile);
inheriting.add_operation("semver_compare", semverCompare);
inheriting.add_operation("datetime_compare", datetimeCompare);

// Deviation 4: `var` reaches own properties, array indexes and `length`.
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
    // A document that it cannot take leaves what it had: nothing.
  }
}

function answer(key, context) {
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
    const got = answer(item.key, JSON.parse(text));
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

// The rule-truth as the documentation has it: an error is no match.
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

// Why the SDK's decision differs from the documented one: the id of a row of docs/differences.md, or null.
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
    const ask = { evaluate, conditions }[request.ask];
    const answers = [];
    for (const item of request.documents) {
      await loadDocument(item.document);
      answers.push(ask(item));
    }
    fs.writeSync(1, JSON.stringify(answers) + "\n");
  }
}

main();
