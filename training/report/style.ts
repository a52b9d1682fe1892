/** The page's only style. Six hues that stay apart for colour-blind readers (after Okabe and Ito), tuned for each background. */
export const STYLE = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b2430; --soft: #5b6776; --rule: #dfe3e9; --grid: #e9ecf1;
  --c0: #1f66c1; --c1: #d1601a; --c2: #118a63; --c3: #8a4fc4; --c4: #b8337f; --c5: #7a6a1c;
  --good: #117a52; --bad: #b3261e; --warn: #8a5a00; --good-bg: #e3f5ec; --bad-bg: #fbe7e5; --warn-bg: #fdf1d8; }
@media (prefers-color-scheme: dark) {
  :root { --page: #11161d; --card: #1a212b; --ink: #e6eaf0; --soft: #9aa7b6; --rule: #2e3846; --grid: #263040;
    --c0: #6aa9f7; --c1: #f39a5c; --c2: #49c79a; --c3: #bd92f0; --c4: #ee82bd; --c5: #cdb95a;
    --good: #5fd3a2; --bad: #ff8f86; --warn: #f0c063; --good-bg: #14352a; --bad-bg: #3f1d1b; --warn-bg: #3a2e12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 40px 0 12px; overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 22px 0 8px; }
p { margin: 0 0 8px; }
.soft, .empty { color: var(--soft); }
code { font: 13px/1.4 ui-monospace, 'SF Mono', Menlo, 'Liberation Mono', monospace; overflow-wrap: anywhere; }
nav { margin: 14px 0 0; display: flex; flex-wrap: wrap; gap: 4px 18px; }
a { color: var(--c0); text-decoration: none; } a:hover { text-decoration: underline; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 16px 18px; margin: 0 0 16px; overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 12px; margin: 0 0 16px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; min-width: 0; }
.tile b { display: block; font-size: 22px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile > span { display: block; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.tile .delta { margin-top: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top; overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 550; font-size: 13px; }
tr:last-child > * { border-bottom: 0; }
.num { text-align: right; white-space: nowrap; } .num + :not(.num) { padding-left: 20px; }
td.best { font-weight: 650; }
.up { color: var(--good); } .down { color: var(--bad); }
.badge { display: inline-block; padding: 0 9px; border-radius: 10px; font-size: 13px; font-weight: 600; white-space: nowrap; }
.badge.pass { color: var(--good); background: var(--good-bg); } .badge.fail { color: var(--bad); background: var(--bad-bg); } .badge.warn { color: var(--warn); background: var(--warn-bg); }
.params { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 0; }
.params div { display: flex; gap: 6px; } .params dt { color: var(--soft); } .params dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 16px; }
figure { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; margin: 0; }
figcaption { font-weight: 600; margin: 0 0 4px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 16px; margin: 0 0 4px; padding: 0; font-size: 13px; color: var(--soft); }
.key { display: inline-block; width: 16px; height: 0; border-top: 2.5px solid var(--hue); margin: 0 6px 4px 0; }
.key.base { border-top-style: dashed; border-top-width: 2px; } .key.ref { --hue: var(--soft); border-top-style: dotted; border-top-width: 2px; } .key.fill { height: 10px; border: 0; background: var(--hue); opacity: .65; margin-bottom: 0; border-radius: 2px; }
svg { display: block; width: 100%; height: auto; }
.c0 { --hue: var(--c0); } .c1 { --hue: var(--c1); } .c2 { --hue: var(--c2); } .c3 { --hue: var(--c3); } .c4 { --hue: var(--c4); } .c5 { --hue: var(--c5); }
.line { fill: none; stroke: var(--hue); stroke-width: 2; stroke-linejoin: round; } .line.base { stroke-width: 1.6; stroke-dasharray: 6 4; }
.dot { fill: var(--hue); stroke: var(--card); stroke-width: 1.5; }
.bar { fill: var(--hue); } .column { fill: var(--hue); fill-opacity: .55; }
.grid { stroke: var(--grid); } .axis { stroke: var(--soft); stroke-opacity: .6; } .reference { stroke: var(--soft); stroke-dasharray: 2 4; } .mark { stroke: var(--soft); stroke-dasharray: 4 3; }
.tick, .name, .label { fill: var(--soft); font-size: 12px; } .label { fill: var(--ink); } .end { text-anchor: end; } .middle { text-anchor: middle; }
@media print { body { background: #fff; } figure, .card, .tile { break-inside: avoid; } }
`;
