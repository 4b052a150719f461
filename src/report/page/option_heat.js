// A map of cells: size class over time, fill of memory.
var tide = tide || {};
tide.options = tide.options || {};

tide.options.heat = function (plot, look) {
  'use strict';
  var common = tide.common;
  var option = common.base(look, plot);
  var most = 1, least = Infinity;
  plot.cells.forEach(function (c) {
    most = Math.max(most, c[2]);
    if (c[2] > 0) least = Math.min(least, c[2]);
  });
  var range = Math.log(most) - Math.log(Math.min(least, most));
  // The scale is logarithmic: one class often has a thousand times the bytes of another.
  function shade(v) { return plot.linear || range <= 0 ? v / most : (Math.log(v) - Math.log(least)) / range; }
  option.grid = { left: 12, right: 24, top: common.top(look, -4), bottom: 78, containLabel: true };
  option.xAxis = common.axis(look, 'text', {
    type: 'category', data: plot.columns.map(function (v) { return tide.format(v, plot.x.unit); }),
    splitLine: { show: false }, splitArea: { show: false }, name: plot.x.name, nameLocation: 'middle', nameGap: 28
  });
  option.yAxis = common.axis(look, 'text', { type: 'category', data: plot.rows, splitLine: { show: false } });
  delete option.xAxis.axisPointer;
  delete option.yAxis.axisPointer;
  option.tooltip = common.tooltip(look, {
    trigger: 'item',
    formatter: function (item) {
      var cell = plot.cells[item.dataIndex];
      return common.rows(tide.format(plot.columns[cell[0]], plot.x.unit) + ', ' + plot.rows[cell[1]],
        [[plot.y.name, tide.format(cell[2], plot.y.unit)]]);
    }
  });
  option.visualMap = {
    min: 0, max: 1, calculable: false, orient: 'horizontal', left: 'center', bottom: 2, dimension: 2,
    itemWidth: 12, itemHeight: 160, text: [tide.format(most, plot.y.unit), plot.linear ? '0' : tide.format(isFinite(least) ? least : 0, plot.y.unit)],
    textStyle: { color: look.muted }, inRange: { color: look.heat }
  };
  option.toolbox = common.toolbox(look, { saveAsImage: { title: 'Save', name: plot.id, backgroundColor: look.surface } });
  option.series = [{
    type: 'heatmap', progressive: 0, name: plot.title,
    data: plot.cells.map(function (c) { return [c[0], c[1], shade(c[2])]; }),
    itemStyle: { borderWidth: 0 }, emphasis: { itemStyle: { borderColor: look.text, borderWidth: 1 } }
  }];
  return option;
};
