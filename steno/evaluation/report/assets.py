"""The style and the script of a report, written into its page."""

STYLE = """
:root { color-scheme: light dark;
  --bg: #ffffff; --fg: #1b1f24; --muted: #59636e; --line: #d5dae1; --card: #f5f6f8; --accent: #0b62c4;
  --sub-bg: #fdecb8; --sub-fg: #634600; --del-bg: #fddcd8; --del-fg: #8c1a10; --ins-bg: #d4e9fd; --ins-fg: #0a4480; }
@media (prefers-color-scheme: dark) { :root {
  --bg: #14171c; --fg: #e4e7ec; --muted: #9aa4b1; --line: #353c46; --card: #1d2229; --accent: #6cb0ff;
  --sub-bg: #4b3a08; --sub-fg: #ffdf8a; --del-bg: #56201b; --del-fg: #ffb9b1; --ins-bg: #123a61; --ins-fg: #a9d5ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--bg); color: var(--fg);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .25rem 0 .75rem; } .muted { color: var(--muted); } .small { font-size: .875rem; }
code { overflow-wrap: anywhere; } a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; font-size: .9rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.figure { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.figure b { display: block; font-size: 1.75rem; line-height: 1.2; font-weight: 600; }
.figure span { display: block; } .verdict { border-left: .25rem solid var(--accent); padding-left: .75rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; margin: .25rem 0 1rem; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 2rem; }
svg { display: block; width: 100%; max-width: 45rem; height: auto; margin: .5rem 0; font-size: 13px; }
svg text { fill: var(--fg); } svg .tick { fill: var(--muted); } svg .grid { stroke: var(--line); }
svg .mark { fill: var(--accent); } svg .bar { fill: var(--accent); }
svg .range { stroke: var(--accent); stroke-width: 2; }
svg .all { stroke: var(--muted); stroke-dasharray: 4 3; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem;
  margin: .75rem 0; background: var(--card); }
article h3 { margin: 0; } audio { width: 100%; height: 2.25rem; margin-top: .5rem; }
.alignment { display: flex; flex-wrap: wrap; gap: .35rem .3rem; margin: .6rem 0 .3rem; line-height: 1.35; }
.pair { display: inline-flex; flex-direction: column; padding: .05rem .3rem; border-radius: .25rem; }
.pair > span:last-child { color: var(--muted); } .pair > span:empty::before { content: "·"; color: var(--muted); }
.substitution { background: var(--sub-bg); color: var(--sub-fg); }
.deletion { background: var(--del-bg); color: var(--del-fg); }
.insertion { background: var(--ins-bg); color: var(--ins-fg); } .pair[class*="ion"] > span { color: inherit; }
.deletion > span:first-child { text-decoration: line-through; }
.insertion > span:last-child { text-decoration: underline; }
.substitution > span:last-child { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; font-size: .875rem; }
.spectrogram { position: relative; margin: .5rem 0 0; line-height: 0; cursor: pointer; }
.spectrogram img { width: 100%; height: 8rem; border-radius: .25rem; image-rendering: auto; }
.spectrogram i { position: absolute; top: 0; bottom: 0; left: 0; width: 2px;
  background: #fff; opacity: .85; pointer-events: none; }
.times { position: relative; height: 1.5rem; font-size: .75rem; line-height: 1.5rem; overflow: hidden; }
.times span { position: absolute; overflow: hidden; white-space: nowrap;
  border-left: 1px solid var(--line); padding-left: 2px; }
details > summary { cursor: pointer; margin: .5rem 0; }
@media print { audio, nav { display: none; } article { break-inside: avoid; } }
"""

SCRIPT = """
for (const article of document.querySelectorAll("article")) {
  const audio = article.querySelector("audio"), picture = article.querySelector(".spectrogram");
  if (!audio || !picture) continue;
  const line = picture.querySelector("i");
  const draw = () => {
    line.style.left = audio.duration ? 100 * audio.currentTime / audio.duration + "%" : "0";
    if (!audio.paused) requestAnimationFrame(draw);
  };
  for (const event of ["play", "seeked", "timeupdate"]) audio.addEventListener(event, draw);
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
  });
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    audio.currentTime = audio.duration * (event.clientX - box.left) / box.width;
  });
}
"""
