// What the plots' options share.
var tide = tide || {};
tide.options = tide.options || {};

tide.common = (function () {
  'use strict';

  function axis(look, unit, more) {
    var made = {
      type: 'value',
      axisLine: { show: true, lineStyle: { color: look.line } },
      axisTick: { show: false },
      splitLine: { lineStyle: { color: look.grid } },
      axisLabel: { color: look.muted, fontSize: 12, hideOverlap: true, formatter: function (v) { return tide.format(v, unit); } },
      nameTextStyle: { color: look.muted, fontSize: 12 },
      axisPointer: { label: { formatter: function (p) { return tide.format(p.value, unit); } } }
    };
    for (var key in more) made[key] = more[key];
    return made;
  }

  // Ticks of bytes at powers of two, and ends at ticks: ECharts knows decimal ones only.
  function roundBytes(axis, unit, from, to) {
    if (unit !== 'bytes' || !(to > from)) return;
    var raw = (to - from) / 5, step = Math.pow(2, Math.floor(Math.log(raw) / Math.LN2));
    if (raw / step > 1.4) step *= 2;
    step = Math.max(1, step);
    axis.interval = step;
    axis.min = Math.floor(from / step) * step;
    axis.max = Math.ceil(to / step) * step;
  }

  // Ticks of minutes, hours and days, which are no powers of ten.
  function roundTimes(axis, unit, span) {
    if (unit !== 'ns' || !(span >= 120e9)) return;
    var minutes = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080], i = 0;
    while (i < minutes.length - 1 && span / (minutes[i] * 60e9) > 8) ++i;
    axis.interval = Math.max(minutes[i] * 60e9, span / 12);
  }

  function tooltip(look, more) {
    var made = {
      confine: true,
      backgroundColor: look.surface,
      borderColor: look.line,
      textStyle: { color: look.text, fontSize: 13 },
      extraCssText: 'max-width:min(34rem,80vw);white-space:normal;'
    };
    for (var key in more) made[key] = more[key];
    return made;
  }

  function escaped(text) {
    return String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
  }

  // Rows of a tooltip; names come from inputs, so they are escaped.
  function rows(head, pairs) {
    var html = head ? '<div style="margin-bottom:.25em"><b>' + escaped(head) + '</b></div>' : '';
    pairs.forEach(function (pair) {
      html += '<div style="display:flex;gap:1.5em;justify-content:space-between"><span>' +
        (pair.marker || '') + escaped(pair[0]) + '</span><b style="font-variant-numeric:tabular-nums">' +
        escaped(pair[1]) + '</b></div>';
    });
    return html;
  }

  function base(look, plot) {
    return {
      animation: false,
      backgroundColor: look.interactive ? 'transparent' : look.surface,
      textStyle: { fontFamily: 'system-ui, Segoe UI, Roboto, DejaVu Sans, Arial, sans-serif', color: look.text },
      title: look.interactive ? undefined : {
        text: plot.title + (plot.view ? ': ' + plot.view : ''), left: 12, top: 8,
        textStyle: { color: look.text, fontSize: 16, fontWeight: 600 }
      }
    };
  }

  // How many rows names take in a legend: what is below it begins further down. Without a DOM
  // nobody measures text; 7.2 is what a letter of 13 pixels takes, a little generously.
  function legendRows(look, names) {
    var room = (look.width || 960) - 8 - 96 - 10, rows = 1, at = 0;
    names.forEach(function (name) {
      var width = 25 + Math.min(name.length * 7.2, room - 25) + (look.interactive ? 10 : 18);
      if (at > 0 && at + width > room) {
        ++rows;
        at = 0;
      }
      at += width;
    });
    return rows;
  }
  var mostRows = 6;
  function legendRoom(look, names) { return !names.length ? 0 : (Math.min(legendRows(look, names), mostRows) - 1) * 24; }

  function legend(look, names) {
    return {
      type: legendRows(look, names) > mostRows ? 'scroll' : 'plain',
      top: look.interactive ? 2 : 36, left: 8, width: (look.width || 960) - 8 - 96, data: names,
      textStyle: { color: look.text, fontSize: 13, width: (look.width || 960) - 140, overflow: 'truncate' }, inactiveColor: look.line,
      pageTextStyle: { color: look.muted }, pageIconColor: look.strong, itemWidth: 20, itemHeight: 10, itemGap: look.interactive ? 10 : 18,
      icon: 'roundRect'
    };
  }

  function toolbox(look, features) {
    return {
      show: look.interactive, right: 4, top: 0, itemSize: 15, feature: features,
      iconStyle: { borderColor: look.muted }, emphasis: { iconStyle: { borderColor: look.strong } }
    };
  }

  return {
    axis: axis, roundBytes: roundBytes, roundTimes: roundTimes, tooltip: tooltip, rows: rows, base: base, legend: legend, legendRoom: legendRoom,
    toolbox: toolbox, escaped: escaped,
    top: function (look, extra) { return (look.interactive ? 36 : 72) + (extra || 0); }
  };
})();
