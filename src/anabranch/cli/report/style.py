"""The look of the page: light or dark as the reader's system is, and on paper."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --card: #ffffff; --ink: #1c2024; --soft: #60666d; --line: #e3e5e8; --track: #e9ebee;
  --before: #a3abb5; --after: #2563c9; --added: #1a7f4b; --removed: #b3412c; --changed: #946200;
  --mark: #fdf3d8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1b1f23; --ink: #e4e7ea; --soft: #98a0a8; --line: #2d3339; --track: #2b3137;
    --before: #6d7680; --after: #6ea8fe; --added: #57c98b; --removed: #f08c78; --changed: #e0b04f;
    --mark: #3a3220;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: .95rem; margin: 1.75rem 0 .5rem; }
p { margin: .35rem 0; }
a { color: var(--after); text-decoration: none; }
a:hover { text-decoration: underline; }
code, .value {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: .88em;
}
.soft { color: var(--soft); }
.added { color: var(--added); } .removed { color: var(--removed); } .changed { color: var(--changed); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem 1.5rem 1.5rem;
  margin-top: 1.5rem;
}
.tag { font-size: .8rem; font-weight: 600; margin-left: .6rem; }
.figures { display: flex; flex-wrap: wrap; gap: .75rem 2.5rem; margin: 1rem 0 0; padding: 0; }
.figures div { min-width: 5rem; }
.figures dt { color: var(--soft); font-size: .8rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.figures dd.zero { color: var(--soft); }
.note { border-left: 3px solid var(--changed); padding-left: .75rem; margin: .75rem 0 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
table.narrow { width: auto; }
th, td { text-align: left; padding: .3rem 1.5rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: .8rem; font-weight: 600; color: var(--soft); white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.value { overflow-wrap: anywhere; min-width: 6rem; max-width: 26rem; }
td.name { white-space: nowrap; }
.pair { display: block; white-space: nowrap; }
.pair + .pair { color: var(--after); }
.differs { background: var(--mark); }
svg { display: inline-block; vertical-align: middle; }
svg .track { fill: var(--track); } svg .before { fill: var(--before); } svg .after { fill: var(--after); }
svg .match { fill: var(--added); } svg .miss { fill: var(--changed); }
svg text { fill: var(--ink); font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
svg text.soft { fill: var(--soft); font-size: 10.5px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem 2rem; }
.charts figure { margin: 0; } .charts figcaption { font-size: .85rem; font-weight: 600; overflow-wrap: anywhere; }
.charts svg { width: 100%; height: auto; }
.legend { font-size: .8rem; color: var(--soft); margin: 0 0 .5rem; }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin: 0 .3rem 0 .8rem; }
.legend i:first-child { margin-left: 0; }
.legend .b { background: var(--before); } .legend .a { background: var(--after); }
details > summary { cursor: pointer; font-size: .95rem; font-weight: 600; margin: 1.5rem 0 .5rem; }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media print { body { max-width: none; padding: 0; } section { break-inside: avoid-page; border: 0; padding: 0; } }
"""
