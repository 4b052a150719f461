// Time against memory, a point for each run; those on the front are joined.
var tide = tide || {};
tide.options = tide.options || {};

tide.options.scatter = function (plot, look) {
  'use strict';
  var common = tide.common;
  var option = common.base(look, plot);
  option.grid = { left: 16, right: 90, top: common.top(look, -4), bottom: 40, containLabel: true };
  option.xAxis = common.axis(look, plot.x.unit, { name: plot.x.name, nameLocation: 'middle', nameGap: 30, scale: true });
  option.yAxis = common.axis(look, plot.y.unit, {
    name: plot.y.name, scale: true, nameTextStyle: { color: look.muted, align: 'left', fontSize: 12 }
  });
  [[option.xAxis, 0], [option.yAxis, 1]].forEach(function (pair) {
    var at = pair[1];
    var all = plot.points.map(function (p) { return p.at[at]; });
    var low = Math.min.apply(null, all), high = Math.max.apply(null, all);
    var room = Math.max((high - low) * 0.15, high * 0.02);
    pair[0].min = Math.max(0, low - room);
    pair[0].max = high + room;
    pair[0].axisLabel.showMinLabel = pair[0].axisLabel.showMaxLabel = false;
    common.roundBytes(pair[0], plot[at ? 'y' : 'x'].unit, pair[0].min, pair[0].max);
  });
  option.tooltip = common.tooltip(look, {
    trigger: 'item',
    formatter: function (item) {
      var point = item.data.point;
      if (!point) return '';
      return common.rows(point.name, [[plot.x.name, tide.format(point.at[0], plot.x.unit)],
        [plot.y.name, tide.format(point.at[1], plot.y.unit)],
        ['on the front', point.front ? 'yes' : 'no']]);
    }
  });
  option.toolbox = common.toolbox(look, { saveAsImage: { title: 'Save', name: plot.id, backgroundColor: look.surface } });
  var front = plot.points.filter(function (p) { return p.front; })
    .sort(function (a, b) { return a.at[0] - b.at[0]; });
  option.series = [
    { type: 'line', name: 'front', silent: true, symbol: 'none', step: 'end', data: front.map(function (p) { return p.at; }),
      lineStyle: { color: look.muted, type: 'dashed', width: 1.5 }, color: look.muted },
    { type: 'scatter', name: 'runs', symbolSize: 14,
      data: plot.points.map(function (p) {
        return {
          value: p.at, point: p,
          itemStyle: {
            color: p.front ? tide.looks.color(look, p.color) : look.surface,
            borderColor: tide.looks.color(look, p.color), borderWidth: 2.5
          }
        };
      }),
      label: { show: true, position: 'right', color: look.text, fontSize: 12, formatter: function (item) { return item.data.point.name; } },
      labelLayout: { hideOverlap: false, moveOverlap: 'shiftY' } }
  ];
  return option;
};
