"""How a page looks: one style sheet for light and dark, wide screens and phones.

Nothing may be wider than the screen. What cannot be narrower, tables and pictures with a time axis, scrolls within a
box of its own: class `scroll`.
"""

STYLE = """
:root { color-scheme: light dark; --bg: #f4f6f8; --card: #ffffff; --fg: #1c2128; --soft: #59636e; --line: #d9dfe5;
  --accent: #2f6fde; --tint: #e3edfd; --bad: #b42318; --badbg: #fee4e2; --warn: #8a4b00; --warnbg: #fdecc8;
  --good: #e2f3e8; --link: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --bg: #101419; --card: #181d23; --fg: #e4e9ee; --soft: #9aa5b1;
  --line: #303841; --accent: #6ea3fb; --tint: #1d3252; --bad: #ffb4ab; --badbg: #5c1d18; --warn: #ffd591;
  --warnbg: #553a08; --good: #1c3a28; --link: #8ab4f8; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem 1.5rem 4rem; background: var(--bg); color: var(--fg);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: .25rem 0 1rem; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p, li, dd { max-width: 44rem; }
p { margin: .4rem 0; }
ul { margin: .4rem 0; padding-left: 1.2rem; }
li { margin: .35rem 0; }
a { color: var(--link); }
.soft, figcaption { color: var(--soft); }
.about { color: var(--soft); font-size: .9rem; margin: -.4rem 0 .6rem; }
.top { display: flex; flex-wrap: wrap; gap: .5rem 3rem; align-items: center; }
.top .meaning { flex: 1 1 24rem; }
.headline { display: flex; flex-wrap: wrap; gap: .25rem 2.5rem; align-items: baseline; }
.headline .value { font-size: 3.2rem; line-height: 1.1; font-weight: 700; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.headline .second { font-size: 1.6rem; font-weight: 600; }
.headline .label { display: block; color: var(--soft); font-size: .95rem; }
.meaning { font-size: 1.1rem; margin: .5rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: 1.25rem 0; font-size: .9rem; }
nav a { text-decoration: none; color: var(--fg); background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; padding: .1rem .7rem; }
nav a:hover { border-color: var(--accent); }
.columns { columns: 2 30rem; column-gap: 1.25rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem;
  margin: 0 0 1.25rem; min-width: 0; scroll-margin-top: 1rem; }
.columns > div { break-inside: avoid; padding-bottom: 1.25rem; }
.columns section { margin: 0; }
.scroll { overflow-x: auto; max-width: 100%; background-repeat: no-repeat; /* shaded at the side where there is more */
  background-image: linear-gradient(to right, var(--card) 40%, transparent),
    linear-gradient(to left, var(--card) 40%, transparent), linear-gradient(to right, var(--line), transparent),
    linear-gradient(to left, var(--line), transparent);
  background-position: 0 0, 100% 0, 0 0, 100% 0; background-size: 2.5rem 100%, 2.5rem 100%, 1rem 100%, 1rem 100%;
  background-attachment: local, local, scroll, scroll; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .3rem .5rem; font-size: .92rem; text-align: left; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
thead th { border-bottom: 2px solid var(--line); font-weight: 600; }
.number { text-align: right; }
.facts th { color: var(--soft); font-weight: 400; vertical-align: top; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.bars { width: 100%; }
.bars th { font-weight: 400; max-width: 12rem; overflow: hidden; text-overflow: ellipsis; }
.bars td, .bars th { border: 0; padding: .12rem .5rem .12rem 0; }
.bars .room { width: 60%; }
.bar { display: block; height: .8rem; min-width: 2px; background: var(--accent); border-radius: 2px; }
.grid td { text-align: center; border: 1px solid var(--line); padding: .15rem .5rem; }
.grid td, .grid th { font-size: .85rem; }
.grid .even { background: var(--good); }
.grid .chosen { outline: 2px solid var(--fg); outline-offset: -2px; font-weight: 700; }
figure { margin: .75rem 0; }
figure svg { max-width: 100%; height: auto; display: block; font-family: inherit; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure.full svg { width: 100%; max-width: 36rem; }
figure.small svg { width: 100%; max-width: 17rem; }
figure.own svg { max-width: none; }
figure.time svg { width: 100%; min-width: 44rem; max-width: none; }
figcaption { font-size: .9rem; max-width: 44rem; }
.smalls { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 0 1rem; }
.smalls figure { margin: .25rem 0; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
.beside > * { min-width: 0; }
.utterances { display: grid; gap: 1.1rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(28rem, 100%), 1fr)); }
.heard { min-width: 0; }
.heard > .soft { font-size: .9rem; }
audio { display: block; height: 2rem; width: 100%; max-width: 22rem; margin: .25rem 0; }
.pairs { display: flex; flex-wrap: wrap; gap: .3rem .15rem; margin: .2rem 0; font-size: .95rem; line-height: 1.4; }
.pairs > span { padding: .05rem .35rem; max-width: 100%; }
.pairs > span:first-child { padding-left: 0; }
.pairs span span { display: block; }
.bad { background: var(--badbg); color: var(--bad); font-weight: 600; border-radius: 3px; }
.gap { background: var(--warnbg); color: var(--warn); border-radius: 3px; }
code, pre { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em; overflow-wrap: anywhere; }
.command span { display: inline-block; max-width: 100%; }
dl { columns: 3 20rem; column-gap: 2rem; margin: 0; }
dl div { break-inside: avoid; margin-bottom: .6rem; }
dt { font-weight: 600; }
dd { margin: 0; }
summary { cursor: pointer; color: var(--link); margin: .5rem 0; }
@media (max-width: 40rem) {
  body { padding: 1rem .6rem 3rem; }
  section { padding: .8rem .8rem; border-radius: 8px; }
  .headline .value { font-size: 2.6rem; }
  nav { flex-wrap: nowrap; overflow-x: auto; padding-bottom: .3rem; }
  nav a { white-space: nowrap; }
  .bars th { max-width: 8rem; }
  th, td:not(.number) { white-space: normal; }
  th, td { padding: .3rem .35rem; }
}
@media print { body { background: none; } section { break-inside: avoid; } audio, nav { display: none; } }
"""
