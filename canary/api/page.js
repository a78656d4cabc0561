"use strict";
// The page is a function of what /api/v1/events sends. Everything from the
// server becomes text nodes and fixed attributes: no markup is ever parsed.

// ---- elements: h describes one, patch makes a parent's children be so. ----

const h = (tag, attrs, ...children) => ({ tag: tag.toUpperCase(), key: (attrs && attrs.key) || "", attrs: attrs || {}, children });

const fits = (node, want) => node && (typeof want === "string"
  ? node.nodeType === Node.TEXT_NODE
  : node.nodeName === want.tag && (node.sluiceKey || "") === want.key);

function patch(parent, children) {
  const wanted = children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false)
    .map((c) => (typeof c === "object" ? c : String(c)));
  const keys = new Set(wanted.map((w) => w.key).filter(Boolean));
  for (const node of [...parent.childNodes]) {
    if (node.sluiceKey && !keys.has(node.sluiceKey)) node.remove();
  }
  wanted.forEach((want, i) => {
    let node = parent.childNodes[i];
    if (!fits(node, want)) {
      const later = want.key && [...parent.childNodes].slice(i).find((n) => fits(n, want));
      const made = later || make(want);
      parent.insertBefore(made, node || null);
      node = made;
    }
    if (typeof want === "string") {
      if (node.data !== want) node.data = want;
    } else {
      dress(node, want.attrs);
      patch(node, want.children);
    }
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function make(want) {
  if (typeof want === "string") return document.createTextNode(want);
  const node = document.createElement(want.tag);
  node.sluiceKey = want.key;
  if (want.attrs.open) node.open = true; // at first; then it is the reader's
  return node;
}

function dress(node, attrs) {
  for (const name of node.getAttributeNames()) {
    if (name !== "open" && !(name in attrs)) node.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attrs)) {
    if (name === "key" || name === "open") continue;
    if (name === "onclick") node.onclick = value;
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
}

// ---- words ----

const percent = (bp) => `${+(bp / 100).toFixed(2)}%`;
const nats = (v) => v.toFixed(2).replace(/^-0\.00$/, "0.00");
const clock = (t) => (t ? new Date(t).toLocaleTimeString([], { hourCycle: "h23" }) : "never");
const count = (n, what) => `${n.toLocaleString()} ${what}${n === 1 ? "" : "s"}`;

function span(ns) {
  const s = ns / 1e9;
  if (s < 1) return `${Math.round(ns / 1e6)}ms`;
  if (s < 60) return `${+s.toFixed(1)}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${Math.floor(s % 60)}s`;
  return `${Math.floor(s / 3600)}h${Math.floor((s % 3600) / 60)}m`;
}

function ratio(r) {
  if (!r || !r.estimate) return "";
  const bounds = [r.low && `at least ${+r.low.toPrecision(3)}`, r.high && `at most ${+r.high.toPrecision(3)}`].filter(Boolean);
  return [`ratio ${+r.estimate.toPrecision(3)}`, ...bounds].join(", ");
}

const meanings = { healthy: "good", promoted: "good", harmful: "bad", rolledBack: "bad", blind: "wait", undecided: "wait" };
const meaning = (word) => meanings[word] || "faint";
const spoken = (word) => (word === "rolledBack" ? "rolled back" : word);

const says = {
  approve: "Opens the gate. The approval is bound to the hash of the review it rests on.",
  reject: "Answers the gate with no: everything goes to the stable version at once.",
  promote: "Skips what the rollout waits for now.",
  hold: "Keeps the candidate's share from growing. Harm still rolls back.",
  resume: "Ends a hold, or sends an unsettled trip back to the first step.",
  abort: "Ends the rollout: everything goes to the stable version at once. It always works. An A/B test ends, and its arms keep their shares.",
  rollback: "Leaves this rollout, or a promoted version, for the former stable one at once.",
  retry: "Begins a new rollout of the target that was rolled back.",
};

// ---- parts of a card ----

const nameOf = (v) => `${v.state.route.namespace}/${v.state.route.name}`;
const pathOf = (v) => `/api/v1/routes/${encodeURIComponent(v.state.route.namespace)}/${encodeURIComponent(v.state.route.name)}`;
const phaseOf = (v) => (v.state.rollout ? v.state.rollout.phase : "Idle");
const last = (v) => (v.state.history || [])[0];
const rolloutOf = (v) => v.state.rollout || last(v);
const shadowOf = (v) => !v.state.rollout && v.route.strategy.shadow;
const verdictOf = (v) => {
  const r = v.state.rollout;
  if (v.abTest || shadowOf(v)) return null;
  return r ? (r.blind ? "blind" : r.verdict || "undecided") : (last(v) || {}).outcome;
};

function alarms(v) {
  const s = v.state;
  const list = [
    v.refusal && `The newest configuration is not in force: ${v.refusal}`,
    s.nack && `${s.nack.proxy} refused epoch ${s.nack.epoch} and keeps what it had: ${s.nack.text}`,
    s.fault && `The state is not saved since ${clock(s.fault.since)}: ${s.fault.text}`,
    s.rollout && s.rollout.blind && `Blind since ${clock(s.rollout.blind.since)}: ${s.rollout.blind.reason}`,
    v.gap && `Log entries are missing: ${v.gap}`,
    (v.stuck || []).length > 0 && `No longer waited for: ${v.stuck.join(", ")}`,
  ].filter(Boolean);
  return list.length > 0 && h("ul", { class: "alarms", key: "alarms" }, list.map((text) => h("li", null, text)));
}

function gate(v) {
  const r = v.state.rollout;
  if (!r || !r.gate || r.phase !== "Approving") return null;
  return h("div", { class: "gate", key: "gate" },
    h("p", null, `Review ${r.gate.number} waits for approval since ${clock(r.gate.at)}, at verdict ${r.gate.verdict}.`),
    h("p", null, h("code", null, `sluice approve ${nameOf(v)} --hash ${r.gate.hash} --reason '…'`)));
}

const bar = (label, value, max, cls) => h("progress", {
  class: cls || "accent", max: max > 0 ? max : 1, value: max > 0 ? Math.max(0, Math.min(max, value)) : 0, "aria-label": label,
});

const row = (label, value, max, text, cls) => h("div", { class: "row" }, h("span", null, label), bar(label, value, max, cls), h("span", null, text));

function reach(v) {
  if (!v.reach) return null;
  const line = (label, bp) => row(label, bp || 0, 10000, bp === undefined ? "not yet" : percent(bp));
  return h("section", { key: "reach" }, h("h3", null, `Share of ${v.state.rollout.candidate}`),
    line("wanted", v.reach.wanted), line("acknowledged", v.reach.acked), line("observed", v.reach.observed),
    v.state.published.mirror && row("mirrored", v.state.published.mirror.weight, 10000, percent(v.state.published.mirror.weight), "wait"));
}

function shares(v) {
  const split = v.state.published || {};
  if (v.state.rollout || !split.shares) return null;
  return h("section", { key: "shares" }, h("h3", null, "Split"),
    split.shares.map((s) => row(s.version, s.weight, 10000, percent(s.weight))),
    split.mirror && row(`${split.mirror.version}, copies`, split.mirror.weight, 10000, percent(split.mirror.weight), "wait"));
}

function progress(p) {
  if (!p) return null;
  return [
    p.leastTime > 0 && row("time", p.lasted, p.leastTime, `${span(p.lasted)} of ${span(p.leastTime)}`),
    p.leastRequests > 0 && row("requests", p.requests, p.leastRequests, `${p.requests} of ${p.leastRequests}`),
  ];
}

function steps(v) {
  const r = v.state.rollout;
  if (!r || !(r.steps || []).length) return null;
  const baking = r.phase === "Baking";
  const at = (i) => (baking || i < r.step ? "done" : i === r.step ? "now" : "");
  return h("section", { key: "steps" }, h("h3", null, "Steps"), h("ol", { class: "steps" },
    r.steps.map((s, i) => h("li", at(i) === "now" ? { class: "now", "aria-current": "step" } : { class: at(i) || "later" },
      `${i + 1}. ${s.approve ? "approval" : s.weight}${s.for ? ` for ${s.for}` : ""}${at(i) === "done" ? " · done" : ""}`,
      at(i) === "now" && r.phase !== "Stepping" && h("span", { class: "wait" }, ` · ${r.phase.toLowerCase()}`),
      at(i) === "now" && progress(v.progress))),
    r.bake && h("li", baking ? { class: "now", "aria-current": "step" } : { class: "later" }, `bake for ${r.bake}`, baking && progress(v.progress))));
}

function waits(v) {
  if (!v.state.rollout) return null;
  return h("section", { key: "waits" }, h("h3", null, "Waits for"),
    h("ul", null, (v.waits || []).map((w) => h("li", null, w.text)), !(v.waits || []).length && h("li", { class: "faint" }, "nothing")),
    v.remedy && h("p", { class: "faint small" }, v.remedy));
}

function users(v) {
  const r = rolloutOf(v);
  const trace = r && (v.traces || []).find((t) => t.rollout === r.id);
  if (!trace) return null;
  const ready = (name) => ((v.state.ready || {})[name] === undefined ? "–" : v.state.ready[name]);
  const line = (name, e) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, ready(name)),
    h("td", null, e.requests.toLocaleString()), h("td", { class: e.errors ? "bad" : "faint" }, e.errors.toLocaleString()),
    h("td", { class: e.abandoned ? "wait" : "faint" }, (e.abandoned || 0).toLocaleString()), h("td", null, e.mirrored.toLocaleString()));
  return h("section", { key: "users" }, h("h3", null, v.state.rollout ? "Requests seen" : `Requests seen while ${trace.rollout} ran`), h("table", { class: "table" },
    h("thead", null, h("tr", null, ["version", "ready", "requests", "errors", "abandoned", "mirrored"].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", null, line(trace.arms.stable, trace.stable), line(trace.arms.candidate, trace.candidate))));
}

function test(t) {
  const bad = t.direction !== "promotion";
  return h("li", { key: `${t.name} ${t.method} ${t.direction}` },
    h("div", { class: "name" }, h("span", null, `${t.name} `, h("span", { class: "faint small" }, `${t.method}, ${t.threshold}`)),
      h("span", { class: t.passed ? (bad ? "bad" : "good") : "faint" }, t.found)),
    h("div", { class: "row" }, bar(`evidence of ${t.name} by ${t.method}`, t.logE, t.logNeeded, bad ? (t.passed ? "bad" : "wait") : t.passed ? "good" : "accent"),
      h("span", { class: "small" }, `${nats(t.logE)} of ${nats(t.logNeeded)} nats`)),
    h("p", { class: "faint small" }, [t.direction !== "integrity" && `stable ${t.stable}`, `candidate ${t.candidate}`, ratio(t.ratio)].filter(Boolean).join(" · ")));
}

const standings = { better: "good", worse: "bad" };
const signed = (x) => `${x > 0 ? "+" : ""}${+x.toPrecision(4)}`;

function against(d) {
  if (!d) return [h("td", { class: "faint" }, "the reference"), h("td", null)];
  if (!d.bounded) return [h("td", null, signed(d.estimate)), h("td", { class: "faint" }, "too few to bound")];
  const word = !d.better ? "" : d.better === d.arm ? "better" : "worse";
  return [h("td", null, signed(d.estimate)), h("td", { class: standings[word] || "wait" }, `surely from ${+d.low.toPrecision(4)} to ${+d.high.toPrecision(4)}${word && `: ${word}`}`)];
}

function outcome(o) {
  return h("div", { key: o.name }, h("h4", null, `${o.name} `, h("span", { class: "faint small" }, `${o.kind}, ${o.better} is better`)), h("table", { class: "table" },
    h("thead", null, h("tr", null, ["arm", "units", "value", "difference", "bounds"].map((c) => h("th", { scope: "col" }, c)))),
    h("tbody", null, (o.arms || []).map((r) => h("tr", null, h("th", { scope: "row" }, r.arm),
      h("td", null, r.n.toLocaleString()), h("td", null, String(+r.value.toPrecision(4))), against(r.difference))))));
}

function abTest(v) {
  const t = v.abTest;
  if (!t) return null;
  return h("section", { key: "abtest" }, h("h3", null, `A/B test ${t.id}`),
    h("p", { class: "faint small" }, `Bounds hold at every look, but for a chance of ${t.spec.error}.`),
    (t.outcomes || []).map(outcome),
    h("ul", null, (t.verdicts || []).map((r) => h("li", null, `${r.arm} is `, h("strong", { class: standings[r.standing] || "wait" }, r.standing), `: ${r.sentence}`))),
    h("p", { class: "faint small" }, t.counts));
}

function evidence(v) {
  const a = v.assessment;
  if (!a) return v.state.rollout && h("section", { key: "evidence" }, h("h3", null, "Evidence"), h("p", { class: "faint" }, "none was looked at yet"));
  const group = (direction, title) => {
    const tests = v.tests.filter((t) => t.direction === direction);
    return tests.length > 0 && [h("h4", null, title), h("ul", { class: "tests" }, tests.map(test))];
  };
  return h("section", { key: "evidence" }, h("h3", null, v.state.rollout || shadowOf(v) || !(v.traces || []).length ? "Evidence" : `Evidence before ${v.traces[0].rollout} ended`),
    h("p", null, h("strong", { class: meaning(a.verdict) }, a.verdict), `: ${a.reason}`),
    a.hold && h("p", { class: "wait" }, `No growth: ${a.hold}`),
    row("all tests", a.logE, a.logNeeded, `${nats(a.logE)} of ${nats(a.logNeeded)} nats`, a.verdict === "harmful" ? "bad" : "wait"),
    group("rollback", "To roll back: all of these together"),
    group("promotion", "To promote: what the policy requires"),
    group("integrity", "Is the split what was asked for?"),
    answers(a.answers));
}

function answers(a) {
  return a && [h("h4", null, `Do the answers agree? By ${a.by}; held to: ${a.threshold}`), h("p", null, a.reason),
    h("ul", null, (a.examples || []).slice(0, 3).map((d) => h("li", { class: "small" }, h("span", { class: "faint" }, `${d.id} `), `stable ${d.stable}, shadow ${d.shadow}`)))];
}

function trips(v) {
  const r = rolloutOf(v);
  if (!r || !(r.trips || []).length) return null;
  return h("section", { key: "trips" }, h("h3", null, `Trips: ${r.trips.length} of at most ${r.policy.trip.limit}`),
    h("ul", null, r.trips.map((t) => h("li", null, `${clock(t.at)} at ${percent(t.share)}: ${t.reason} → `,
      h("strong", { class: t.outcome === "cleared" ? "good" : "wait" }, t.outcome), t.text && ` (${t.text})`))),
    v.ruling && row("mirrored", v.ruling.logE, v.ruling.logNeeded, `${v.ruling.n} requests, ${nats(v.ruling.logE)} of ${nats(v.ruling.logNeeded)} nats`, "wait"),
    v.ruling && h("p", { class: "small faint" }, v.ruling.text));
}

const goodWhen = { Accepted: "True", Ready: "True", Stalled: "False", RolledBack: "False" };

function conditions(v) {
  const cls = (c) => (!goodWhen[c.type] ? "faint" : c.status === goodWhen[c.type] ? "good" : c.status === "Unknown" ? "wait" : "bad");
  return h("details", { key: "conditions" }, h("summary", null, h("h3", null, "Conditions")),
    h("table", { class: "table" }, h("tbody", null, (v.conditions || []).map((c) => h("tr", null, h("th", { scope: "row" }, c.type),
      h("td", { class: cls(c) }, c.status), h("td", null, h("strong", null, c.reason), ` ${c.message}`))))),
    h("p", { class: "faint small" }, `${count((v.proxies || []).length, "proxy").replace("proxys", "proxies")} connected${(v.proxies || []).length ? `: ${v.proxies.join(", ")}` : ""}; log entries come ${span(v.logDelay)} after a request's end`));
}

function log(v) {
  const entries = (logs.get(nameOf(v)) || { entries: [] }).entries;
  return h("details", { key: "log", open: true }, h("summary", null, h("h3", null, "Decisions")),
    h("ol", { class: "log" }, entries.map((d) => h("li", { key: String(d.seq) },
      h("time", { class: "faint", datetime: d.at }, clock(d.at)),
      h("span", d.refused ? { class: "bad" } : null, `${d.refused ? "refused: " : ""}${d.text}`,
        d.actor !== "sluice" && h("span", { class: "faint" }, ` — ${d.actor}${d.text.includes(d.reason || "") ? "" : `: “${d.reason}”`}`))))),
    !entries.length && h("p", { class: "faint" }, "none yet"));
}

function card(v) {
  const r = v.abTest || rolloutOf(v);
  const name = nameOf(v);
  const verdict = verdictOf(v);
  return h("article", { class: "card", key: name, id: `route-${name}`, "aria-label": name },
    h("div", { class: "head", key: "head" }, h("h2", null, name), h("span", { class: "pill faint" }, phaseOf(v)),
      verdict && h("span", { class: `pill ${meaning(verdict)}` }, spoken(verdict)),
      v.state.rollout && v.state.rollout.hold && h("span", { class: "pill wait" }, "held"),
      r && h("a", { href: `${pathOf(v)}/review?rollout=${encodeURIComponent(r.id)}` }, `review of ${r.id}`)),
    h("p", { class: "sentence", key: "sentence" }, v.standing),
    alarms(v), gate(v),
    h("div", { class: "verbs", key: "verbs", role: "group", "aria-label": `Act on ${name}` }, (v.verbs || []).map((verb) =>
      h("button", { type: "button", key: verb, class: verb === "abort" || verb === "reject" || verb === "rollback" ? "stop" : "act", onclick: () => ask(name, verb) }, verb))),
    said.get(name) && h("p", { class: "good", key: "said", role: "status" }, said.get(name)),
    waits(v), h("div", { class: "columns", key: "columns" }, reach(v), shares(v), steps(v), users(v)),
    abTest(v), evidence(v), trips(v), conditions(v), log(v));
}

// ---- what is known ----

let views = [];
const logs = new Map(); // name → {seq, at, entries}: the end of the decision log
const said = new Map(); // name → what the last verb led to
const stands = new Map(); // name → phase and verdict, as last announced

const byId = (id) => document.getElementById(id);

function draw() {
  patch(byId("list"), [views.length > 1 && h("ul", null, views.map((v) => h("li", { key: nameOf(v) },
    h("a", { href: `#route-${nameOf(v)}` }, nameOf(v)), " ", h("span", { class: `small ${meaning(verdictOf(v))}` }, `${phaseOf(v)} ${spoken(verdictOf(v)) || ""}`))))]);
  patch(byId("routes"), views.length ? views.map(card) : [h("p", { class: "faint", key: "none" }, "There is no inference route.")]);
  document.title = views.length === 1 ? `${nameOf(views[0])} · Sluice` : "Sluice";
}

function announce() {
  const news = [];
  for (const v of views) {
    const stand = `${nameOf(v)}: ${phaseOf(v)}, ${spoken(verdictOf(v)) || "no rollout"}`;
    if (stands.has(nameOf(v)) && stands.get(nameOf(v)) !== stand) news.push(stand);
    stands.set(nameOf(v), stand);
  }
  if (news.length) byId("news").textContent = news.join(". ");
}

async function readLog(v) {
  const known = logs.get(nameOf(v)) || { seq: -1, at: 0, entries: [] };
  if (known.seq === v.state.seq || Date.now() - known.at < 1000) return;
  logs.set(nameOf(v), { ...known, seq: v.state.seq, at: Date.now() });
  try {
    const answer = await fetch(`${pathOf(v)}/decisions?tail=15`);
    if (!answer.ok) throw new Error(answer.statusText);
    logs.set(nameOf(v), { seq: v.state.seq, at: Date.now(), entries: (await answer.json()).reverse() });
    draw();
  } catch {
    logs.set(nameOf(v), { ...known, at: Date.now() }); // asked again with the next change
  }
}

function listen() {
  const source = new EventSource("/api/v1/events");
  source.onopen = () => link("live", "good");
  source.onmessage = (event) => {
    views = JSON.parse(event.data);
    announce();
    draw();
    views.forEach(readLog);
  };
  source.onerror = () => {
    link(`control plane away since ${clock(Date.now())}; shown is what was known then`, "bad");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source.close();
    setTimeout(listen, 1000);
  };
}

function link(text, cls) {
  if (cls === "bad" && byId("link").className === "bad") return; // since the first time
  byId("link").textContent = text;
  byId("link").className = cls;
}

// ---- verbs ----

let asked = { name: "", verb: "", path: "" };

function ask(name, verb) {
  const view = views.find((v) => nameOf(v) === name);
  const r = view.state.rollout || {};
  asked = { name, verb, path: pathOf(view) };
  byId("act-title").textContent = `${verb} ${name}`;
  byId("act-does").textContent = says[verb];
  byId("act-go").textContent = verb;
  byId("act-refusal").textContent = "";
  byId("act-reason").value = "";
  byId("act-hash").value = verb === "approve" && r.gate ? r.gate.hash : "";
  byId("act-hash-row").hidden = verb !== "approve";
  byId("act-full-row").hidden = byId("act-override-row").hidden = verb !== "promote";
  byId("act-force-row").hidden = verb !== "promote" && verb !== "rollback";
  byId("act-force-text").textContent = verb === "promote" ? "even while it is blind, held, in doubt or tripped" : "even to a version without a ready endpoint";
  for (const box of ["act-full", "act-override", "act-force"]) byId(box).checked = false;
  byId("act").showModal();
  byId("act-reason").focus();
}

async function act(event) {
  event.preventDefault();
  const { name, verb, path } = asked;
  const body = { actor: byId("act-actor").value, reason: byId("act-reason").value };
  if (verb === "approve") body.hash = byId("act-hash").value;
  if (byId("act-full").checked) body.full = true;
  if (byId("act-override").checked) body.overrideEvidence = true;
  if (byId("act-force").checked) body.force = true;
  byId("act-refusal").textContent = "";
  byId("act-go").disabled = true;
  try {
    const answer = await fetch(`${path}/verbs/${verb}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const reply = await answer.json();
    if (!answer.ok) {
      byId("act-refusal").textContent = `${answer.status === 409 ? "Refused: " : ""}${reply.error}`;
      return;
    }
    said.set(name, `${verb}: ${reply.text}`);
    byId("act").close();
    draw();
  } catch (error) {
    byId("act-refusal").textContent = `The control plane did not answer: ${error.message}`;
  } finally {
    byId("act-go").disabled = false;
  }
}

byId("act-form").addEventListener("submit", act);
byId("act-cancel").addEventListener("click", () => byId("act").close());
listen();
