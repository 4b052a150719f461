// Curves over a common axis: memory over time, latency by rank.
var tide = tide || {};
tide.options = tide.options || {};

// The axis for those curves that are switched on: one that is not must not press the others flat.
tide.fitLines = function (plot, selected, axis) {
  'use strict';
  if (plot.y.log) return;
  var top = 0, sums = [];
  plot.series.forEach(function (s) {
    if (selected[s.name] === false) return;
    s.points.forEach(function (p, i) {
      sums[i] = (plot.stacked ? sums[i] || 0 : 0) + p[1];
      top = Math.max(top, sums[i]);
    });
  });
  tide.common.roundBytes(axis, plot.y.unit, 0, top);
};

tide.options.lines = function (plot, look) {
  'use strict';
  var common = tide.common;
  var low = Infinity, high = -Infinity;
  plot.series.forEach(function (s) {
    s.points.forEach(function (p) {
      low = Math.min(low, p[0]);
      high = Math.max(high, p[0]);
    });
  });
  var series = plot.series.map(function (s, i) {
    var made = {
      name: s.name, type: 'line', showSymbol: s.points.length < 3, symbolSize: 5,
      step: s.step ? 'end' : false,
      data: s.points, color: tide.looks.color(look, s.color),
      lineStyle: { width: s.thin ? 1.5 : 2, type: s.dash || 'solid' },
      areaStyle: s.fill ? { opacity: look.dark ? 0.16 : 0.1 } : undefined,
      stack: plot.stacked ? 'all' : undefined, stackStrategy: 'all',
      emphasis: { focus: look.interactive ? 'series' : 'none' },
      z: s.dash ? 2 : 3
    };
    if (plot.stacked) {
      made.areaStyle = { opacity: 0.75 };
      made.lineStyle.width = 0.5;
    }
    if (i === 0 && plot.marks && plot.marks.length) {
      made.markLine = {
        symbol: 'none', silent: false, lineStyle: { color: look.muted, type: 'dotted' },
        label: { color: look.muted, formatter: function (m) { return m.name; }, position: 'insideEndTop', rotate: 0 },
        data: plot.marks.map(function (m) { return { xAxis: m.x, name: m.text }; })
      };
    }
    return made;
  });
  var selected = {};
  plot.series.forEach(function (s) { selected[s.name] = !s.hidden; });
  var option = common.base(look, plot);
  var names = plot.series.map(function (s) { return s.name; });
  option.legend = common.legend(look, names);
  option.legend.selected = selected;
  option.grid = { left: 12, right: 24, top: common.top(look, (plot.y.name ? 22 : 0) + common.legendRoom(look, names)), bottom: plot.zoom && look.interactive ? 74 : 34, containLabel: true };
  option.xAxis = common.axis(look, plot.x.unit, {
    type: plot.x.log ? 'log' : 'value', name: plot.x.name, nameLocation: 'middle', nameGap: 28,
    min: !isFinite(low) || (!plot.x.log && low < high / 20) ? 0 : low, max: isFinite(high) && high > low ? high : undefined, splitLine: { show: false }
  });
  if (!plot.x.log && option.xAxis.min === 0) common.roundTimes(option.xAxis, plot.x.unit, high);
  option.yAxis = common.axis(look, plot.y.unit, {
    type: plot.y.log ? 'log' : 'value', name: plot.y.name, nameLocation: 'end',
    nameTextStyle: { color: look.muted, align: 'left', fontSize: 12 }
  });
  tide.fitLines(plot, selected, option.yAxis);
  option.tooltip = common.tooltip(look, {
    trigger: 'axis',
    formatter: function (items) {
      if (!items.length) return '';
      var made = items.map(function (item) {
        var row = [item.seriesName, tide.format(item.value[1], plot.y.unit)];
        row.marker = item.marker;
        row.value = item.value[1];
        return row;
      });
      // Layers as they lie, and the whole.
      if (plot.stacked) {
        var whole = made.reduce(function (sum, row) { return sum + row.value; }, 0);
        made = made.filter(function (row) { return row.value > 0; }).reverse();
        made.push(['together', tide.format(whole, plot.y.unit)]);
      }
      return common.rows(tide.format(items[0].axisValue, plot.x.unit), made);
    }
  });
  if (plot.zoom && look.interactive) {
    option.dataZoom = [
      { type: 'inside', zoomOnMouseWheel: 'ctrl', moveOnMouseMove: false, moveOnMouseWheel: false, filterMode: 'none' },
      { type: 'slider', height: 22, bottom: 10, filterMode: 'none', borderColor: look.line,
        textStyle: { color: look.muted }, fillerColor: look.dark ? 'rgba(76,195,214,.16)' : 'rgba(11,114,133,.12)',
        dataBackground: { lineStyle: { color: look.muted }, areaStyle: { color: look.line } },
        labelFormatter: function (v) { return tide.format(v, plot.x.unit); } }
    ];
    option.toolbox = common.toolbox(look, {
      dataZoom: { yAxisIndex: 'none', title: { zoom: 'Drag to zoom', back: 'Zoom back' } },
      restore: { title: 'Show all' }, saveAsImage: { title: 'Save', name: plot.id, backgroundColor: look.surface }
    });
  } else {
    option.toolbox = common.toolbox(look, { saveAsImage: { title: 'Save', name: plot.id, backgroundColor: look.surface } });
  }
  option.series = series;
  return option;
};
