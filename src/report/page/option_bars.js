// Bars by category: histograms of sizes and lifetimes, figures of allocators.
var tide = tide || {};
tide.options = tide.options || {};

tide.options.bars = function (plot, look) {
  'use strict';
  var common = tide.common;
  var option = common.base(look, plot);
  var several = plot.series.length > 1;
  var names = plot.series.map(function (s) { return s.name; });
  if (several) option.legend = common.legend(look, names);
  var sideways = plot.sideways;
  var categories = common.axis(look, 'text', {
    type: 'category', data: plot.categories, splitLine: { show: false }, inverse: Boolean(sideways),
    name: plot.x && plot.x.name, nameLocation: 'middle', nameGap: 30
  });
  delete categories.axisLabel.formatter;
  delete categories.axisPointer;
  var top = 0;
  plot.series.forEach(function (s) { s.values.forEach(function (v) { top = Math.max(top, v || 0); }); });
  var values = common.axis(look, plot.y.unit, {
    type: plot.y.log ? 'log' : 'value', name: sideways ? undefined : plot.y.name,
    nameTextStyle: { color: look.muted, align: 'left', fontSize: 12 }
  });
  if (!plot.y.log) common.roundBytes(values, plot.y.unit, 0, top);
  option.grid = {
    left: 12, right: 24, top: common.top(look, (several || plot.y.name ? 0 : -8) + (several ? common.legendRoom(look, names) : 0)), bottom: plot.x && plot.x.name ? 34 : 10,
    containLabel: true
  };
  option.xAxis = sideways ? values : categories;
  option.yAxis = sideways ? categories : values;
  option.tooltip = common.tooltip(look, {
    trigger: 'axis', axisPointer: { type: 'shadow' },
    formatter: function (items) {
      return common.rows(items[0].name, items.map(function (item) {
        var row = [several ? item.seriesName : plot.y.name || 'value', tide.format(item.value, plot.y.unit)];
        row.marker = item.marker;
        return row;
      }));
    }
  });
  option.toolbox = common.toolbox(look, { saveAsImage: { title: 'Save', name: plot.id, backgroundColor: look.surface } });
  option.series = plot.series.map(function (s) {
    return {
      name: s.name, type: 'bar', stack: plot.stacked ? 'all' : undefined, barMaxWidth: 36, barGap: '8%',
      color: tide.looks.color(look, s.color),
      itemStyle: { borderRadius: plot.stacked ? 0 : sideways ? [0, 3, 3, 0] : [3, 3, 0, 0] },
      data: s.values.map(function (v, i) {
        return s.colors ? { value: v, itemStyle: { color: tide.looks.color(look, s.colors[i]) } } : v;
      }),
      label: { show: Boolean(sideways), position: 'right', color: look.text, formatter: function (p) { return tide.format(p.value, plot.y.unit); } }
    };
  });
  if (sideways) option.grid.right = 80;
  return option;
};
