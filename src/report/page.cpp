#include "report/page.h"

#include "report/svg.h"

namespace gavel {
namespace {

constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f7f9;--line:#dfe3e8;--text:#1b1f24;--muted:#5b6570;
--good:#1a7f37;--bad:#b42318;--mark:#fff3c4;
--c0:#1f6feb;--c1:#d4570a;--c2:#1a7f37;--c3:#8b3fc7;--c4:#bf2a6b;--c5:#0e7a8a;--c6:#8a6d00;--c7:#5b6570}
@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--panel:#181e25;--line:#2c353f;--text:#e6eaef;
--muted:#9aa6b2;--good:#56d364;--bad:#ff8f85;--mark:#4a3f10;
--c0:#6cb0ff;--c1:#ffa057;--c2:#5fd27a;--c3:#c79bff;--c4:#ff8ab8;--c5:#58d0e0;--c6:#e3c341;--c7:#9aa6b2}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:40px 0 12px;padding-top:12px;border-top:1px solid var(--line);overflow-wrap:anywhere}
h3{font-size:1rem;margin:24px 0 8px;overflow-wrap:anywhere}
a{color:var(--c0)}p{margin:8px 0}.muted{color:var(--muted)}.small{font-size:.875rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:16px 0}
.tile{background:var(--panel);border-radius:8px;padding:10px 12px}
.tile b{display:block;font-size:1.25rem;line-height:1.3;font-variant-numeric:tabular-nums}
.tile span{color:var(--muted);font-size:.8125rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:14px}
.chart{margin:0;background:var(--panel);border-radius:8px;padding:10px 12px;min-width:0}
figcaption{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;font-size:.9375rem}
.keys{display:flex;flex-wrap:wrap;gap:0 12px;color:var(--muted);font-size:.8125rem}
.key{overflow-wrap:anywhere}
.key i{display:inline-block;width:16px;height:0;border-width:3px 0 0;border-style:solid;vertical-align:middle;margin-right:5px}
.key i.dashed{border-style:dashed}
svg{display:block;width:100%;height:auto;touch-action:pan-y}
svg text{font-family:inherit;fill:var(--muted);font-size:12px}
svg .note{fill:var(--text)}svg .name{fill:var(--text);font-size:13px}
svg line.grid{stroke:var(--line)}svg .axis{stroke:var(--muted)}
.ideal{stroke:var(--muted);stroke-dasharray:3 4}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.faint{opacity:.28;stroke-width:1.2}
.line.dashed{stroke-dasharray:6 4}.mark{stroke-width:1.5;stroke-dasharray:4 3}
.cursor{stroke:var(--muted)}
)css"
                               R"css(
.c0{stroke:var(--c0);border-color:var(--c0)}.c1{stroke:var(--c1);border-color:var(--c1)}
.c2{stroke:var(--c2);border-color:var(--c2)}.c3{stroke:var(--c3);border-color:var(--c3)}
.c4{stroke:var(--c4);border-color:var(--c4)}.c5{stroke:var(--c5);border-color:var(--c5)}
.c6{stroke:var(--c6);border-color:var(--c6)}.c7{stroke:var(--c7);border-color:var(--c7)}
.dot{stroke:none}.dot.c0{fill:var(--c0)}.dot.c1{fill:var(--c1)}.dot.c2{fill:var(--c2)}.dot.c3{fill:var(--c3)}
.dot.c4{fill:var(--c4)}.dot.c5{fill:var(--c5)}.dot.c6{fill:var(--c6)}.dot.c7{fill:var(--c7)}
.tip{position:absolute;z-index:2;pointer-events:none;background:var(--bg);border:1px solid var(--line);
border-radius:6px;padding:4px 8px;font-size:.8125rem;box-shadow:0 2px 8px #0003;white-space:nowrap;
font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;margin-bottom:14px}
.wide tr>:first-child{position:sticky;left:0;background:var(--bg)}.chart .wide{margin:0}.chart .wide tr>:first-child{background:var(--panel)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9375rem}
th,td{padding:6px 12px 6px 0;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}th:first-child,td:first-child{text-align:left}tbody th{font-weight:400}
td small{display:block;color:var(--muted);font-size:.75rem;white-space:nowrap}
td.best b{color:var(--good)}td b{font-weight:600;white-space:nowrap}
.confusion td,.confusion th{padding:6px 10px;text-align:center;border:2px solid var(--panel)}
.confusion td{min-width:52px;background:color-mix(in srgb,var(--c0) var(--p),var(--bg))}
.confusion td.hit{background:color-mix(in srgb,var(--c2) var(--p),var(--bg))}
.good{color:var(--good)}.bad{color:var(--bad)}
.filters{display:flex;flex-wrap:wrap;gap:8px;margin:12px 0}
.filters select,.filters input{font:inherit;font-size:.9375rem;padding:7px 10px;border:1px solid var(--line);
border-radius:8px;background:var(--panel);color:var(--text);min-width:0;max-width:100%}
.filters input{flex:1 1 180px}
:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
details.pair{border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 12px}
details.pair[hidden]{display:none}
summary{cursor:pointer;padding:10px 0;overflow-wrap:anywhere}
summary .q{display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden}
.tags{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:.8125rem;color:var(--muted)}
details.pair summary{list-style:none}details.pair summary::-webkit-details-marker{display:none}
details.pair .tags::before{content:"\25B8"}details.pair[open] .tags::before{content:"\25BE"}
details.trial{margin:10px 0}details.trial .tags{display:inline-flex;margin-left:12px;vertical-align:baseline}
.run{background:var(--panel);border-radius:8px;padding:12px 14px;margin:10px 0}
.run .tags{font-size:.875rem;font-variant-numeric:tabular-nums}.run .tags b{color:var(--text)}
.run progress{display:block;width:100%;height:8px;margin:8px 0;appearance:none;border:0;border-radius:4px;overflow:hidden;background:var(--line)}
progress::-webkit-progress-bar{background:var(--line)}progress::-webkit-progress-value{background:var(--c0)}
progress::-moz-progress-bar{background:var(--c0)}
.lost{position:sticky;top:0;z-index:3;background:var(--mark);padding:8px 12px;border-radius:0 0 8px 8px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:12px;margin:0 0 12px}
.text{background:var(--panel);border-radius:8px;padding:8px 12px;white-space:pre-wrap;overflow-wrap:anywhere;
font-size:.9375rem;max-height:22rem;overflow-y:auto}
.text h4{margin:0 0 4px;font-size:.8125rem;color:var(--muted);font-weight:600;white-space:normal}
@media(max-width:560px){svg text,svg .name{font-size:15px}.confusion td,.confusion th{padding:6px}.confusion td{min-width:44px}}
@media print{.filters{display:none}.chart,details{break-inside:avoid}}
)css";

constexpr const char* kScript = R"js(
const showReport = (() => {
const tip = document.createElement("div");
tip.className = "tip"; tip.hidden = true; document.body.append(tip);
const show = v => Math.abs(v) >= 1e4 ? v.toFixed(0) : String(+v.toPrecision(4));
const curves = svg => {
  const [x0, x1, px0, px1] = svg.dataset.x.split(" ").map(Number);
  const [y0, y1, py0, py1] = svg.dataset.y.split(" ").map(Number);
  const cursor = svg.querySelector(".cursor");
  const lines = [...svg.querySelectorAll("g[data-name]")].map(g => ({name: g.dataset.name,
    points: [...g.querySelectorAll("polyline")].flatMap(l =>
      l.getAttribute("points").split(" ").map(p => p.split(",").map(Number)))}))
    .filter(l => l.name && l.points.length);
  const hide = () => { tip.hidden = true; cursor.setAttribute("visibility", "hidden"); };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", e => {
    const box = svg.getBoundingClientRect();
    const at = (e.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    if (at < px0 - 5 || at > px1 + 5 || !lines.length) return hide();
    const nearest = lines.map(l => l.points.reduce((a, b) =>
      Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
    const snap = nearest.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a)[0];
    cursor.setAttribute("x1", snap); cursor.setAttribute("x2", snap);
    cursor.setAttribute("visibility", "visible");
    const value = p => show(y0 + (p[1] - py0) / (py1 - py0) * (y1 - y0));
    const x = x0 + (snap - px0) / (px1 - px0) * (x1 - x0);
    tip.replaceChildren();
    [svg.dataset.label + " " + show(x), ...lines.map((l, i) => l.name + ": " + value(nearest[i]))]
      .forEach(t => { const d = document.createElement("div"); d.textContent = t; tip.append(d); });
    tip.hidden = false;
    const left = Math.min(e.pageX + 14, scrollX + document.documentElement.clientWidth - tip.offsetWidth - 6);
    tip.style.left = Math.max(scrollX + 6, left) + "px";
    tip.style.top = e.pageY + 16 + "px";
  });
};
const browse = box => {
  const kind = box.querySelector("select"), text = box.querySelector("input");
  const count = box.querySelector(".count"), pairs = [...box.querySelectorAll("details.pair")];
  const apply = () => {
    const wanted = text.value.toLowerCase();
    let n = 0;
    pairs.forEach(p => {
      p.hidden = !((!kind.value || p.dataset.kind.split(" ").includes(kind.value)) &&
        (!wanted || p.textContent.toLowerCase().includes(wanted)));
      n += !p.hidden;
    });
    count.textContent = n + " shown";
  };
  kind.addEventListener("change", apply); text.addEventListener("input", apply); apply();
};
return root => {
  tip.hidden = true;
  root.querySelectorAll("svg[data-x]").forEach(curves);
  root.querySelectorAll(".browse").forEach(browse);
};
})();
showReport(document);
)js";

}  // namespace

std::string_view page_script() { return kScript; }

std::string html_page(const std::string& title, const std::string& body,
                      const std::vector<std::string>& scripts) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">";
  if (scripts.empty())
    out +=
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">";
  out += "<title>" + svg::escape(title) + "</title><style>" + kStyle +
         "</style></head>\n<body><main>\n" + body + "</main>";
  if (scripts.empty()) out += std::string("<script>") + kScript + "</script>";
  for (const std::string& path : scripts) out += "<script src=\"" + path + "\"></script>";
  return out + "</body></html>\n";
}

}  // namespace gavel
