// The page's plots as SVG texts, without a browser. `tide.svg.list(data)` says which there are.
var tide = tide || {};

tide.svg = (function () {
  'use strict';
  var look = { interactive: false };
  for (var key in tide.looks.light) look[key] = tide.looks.light[key];

  function list(json) {
    var data = JSON.parse(json), all = [];
    data.sections.forEach(function (section) {
      section.items.forEach(function (item) {
        if (!tide.options[item.type]) return;
        (item.views || [null]).forEach(function (view, i) {
          var plot = {};
          for (var key in item) plot[key] = item[key];
          if (view && item.type !== 'flame') for (key in view) if (key !== 'name') plot[key] = view[key];
          if (view) plot.view = view.name;
          if (item.type === 'flame' && !(item.nodes[0][2 + i] > 0)) return;
          all.push({ name: item.id + (view ? '-' + view.name.toLowerCase().replace(/[^a-z0-9]+/g, '-') : ''), plot: plot, view: i });
        });
      });
    });
    tide.svg.all = all;
    return all.length;
  }

  function height(plot, view) {
    if (plot.type === 'flame') return tide.flameHeight(plot, look, { view: view, root: 0 });
    if (plot.rows) return Math.max(300, 170 + plot.rows.length * 19);
    if (plot.sideways) return 100 + plot.categories.length * 34;
    var names = (plot.series || []).map(function (s) { return s.name; });
    return 420 + (names.length > 1 ? tide.common.legendRoom(look, names) : 0);
  }

  function draw(i) {
    var entry = tide.svg.all[i];
    var chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: height(entry.plot, entry.view) });
    chart.setOption(tide.options[entry.plot.type](entry.plot, look, { view: entry.view, root: 0 }));
    var text = chart.renderToSVGString();
    chart.dispose();
    return text;
  }

  return { list: list, draw: draw, name: function (i) { return tide.svg.all[i].name; } };
})();
