// Call stacks as bars on top of each other: as wide as their bytes, callers above.
//
// plot.nodes: [parent, name, value of view 0, value of view 1, ...], parents first; node 0 is all.
// plot.base: the view that colours compare with, of a difference.
var tide = tide || {};
tide.options = tide.options || {};

tide.flame = (function () {
  'use strict';
  var kRow = 20;

  function layout(plot, view, root) {
    var nodes = plot.nodes, at = 2 + view;
    var total = nodes[root][at];
    var start = [], next = [], depth = [], items = [], deepest = 0;
    var above = [], up;
    for (up = root; up >= 0; up = nodes[up][0]) above.unshift(up);
    above.forEach(function (node, i) { depth[node] = i; });
    above.forEach(function (node, i) { items.push([0, 1, i, node]); });
    start[root] = next[root] = 0;
    deepest = above.length - 1;
    for (var i = root + 1; i < nodes.length && total > 0; ++i) {
      var parent = nodes[i][0];
      if (start[parent] === undefined) continue;
      var width = nodes[i][at] / total;
      if (!(width > 0.0004)) { next[parent] += Math.max(0, width); continue; }
      start[i] = next[i] = next[parent];
      next[parent] += width;
      depth[i] = depth[parent] + 1;
      deepest = Math.max(deepest, depth[i]);
      items.push([start[i], start[i] + width, depth[i], i]);
    }
    return { items: items, rows: deepest + 1, total: total };
  }

  function hash(text) {
    var h = 7;
    for (var i = 0; i < text.length; ++i) h = (h * 31 + text.charCodeAt(i)) % 65521;
    return h;
  }

  function mixed(a, b, share) {
    function part(text, i) { return parseInt(text.substr(1 + 2 * i, 2), 16); }
    var rgb = [0, 1, 2].map(function (i) { return Math.round(part(a, i) + (part(b, i) - part(a, i)) * share); });
    return 'rgb(' + rgb.join(',') + ')';
  }

  function fill(plot, look, node, found) {
    var name = plot.names[plot.nodes[node][1]];
    if (found && found(name)) return look.found;
    if (plot.base !== undefined) {
      var before = plot.nodes[node][2], after = plot.nodes[node][3];
      var change = (after - before) / Math.max(after, before, 1);
      return mixed(look.same, change >= 0 ? look.more : look.less, Math.min(1, Math.abs(change) * 1.2));
    }
    var h = hash(name);
    return 'hsl(' + (168 + h % 50) + ',' + (look.dark ? 34 + h % 14 : 42 + h % 18) + '%,' + (look.dark ? 30 + h % 9 : 74 + h % 12) + '%)';
  }

  // Values of the views at a node, for a tooltip.
  function figures(plot, node) {
    return plot.views.map(function (view, i) {
      var value = plot.nodes[node][2 + i], all = plot.nodes[0][2 + i];
      return [view.name, tide.format(value, view.unit) + (all > 0 ? '  (' + tide.format(value / all, 'percent') + ')' : '')];
    });
  }

  return { layout: layout, fill: fill, figures: figures, rowHeight: kRow };
})();

// state: {view, root, found}: what is shown, from where, what a search has found.
tide.options.flame = function (plot, look, state) {
  'use strict';
  state = state || { view: plot.first || 0, root: 0 };
  var common = tide.common, kRow = tide.flame.rowHeight;
  var laid = tide.flame.layout(plot, state.view, state.root);
  var top = look.interactive ? 4 : 44;
  var option = common.base(look, plot);
  option.grid = { left: 4, right: 4, top: top, bottom: 4 };
  option.xAxis = { type: 'value', min: 0, max: 1, show: false };
  option.yAxis = { type: 'value', min: 0, max: Math.max(1, laid.rows), inverse: true, show: false };
  option.tooltip = common.tooltip(look, {
    trigger: 'item',
    formatter: function (item) {
      var node = plot.nodes[laid.items[item.dataIndex][3]];
      return common.rows(plot.names[node[1]], tide.flame.figures(plot, laid.items[item.dataIndex][3]));
    }
  });
  option.series = [{
    type: 'custom', name: plot.title, data: laid.items, dimensions: ['from', 'to', 'depth', 'node'],
    encode: { x: [0, 1], y: 2 }, clip: true,
    renderItem: function (params, api) {
      var from = api.coord([api.value(0), 0]), to = api.coord([api.value(1), 0]);
      var node = api.value(3);
      var width = Math.max(0.5, to[0] - from[0] - 0.6), y = params.coordSys.y + api.value(2) * kRow;
      var shape = { type: 'rect', shape: { x: from[0], y: y, width: width, height: kRow - 1, r: width > 6 ? 2 : 0 },
        style: { fill: tide.flame.fill(plot, look, node, state.found), opacity: api.value(2) < 0 ? 0.6 : 1 } };
      if (width > 34) {
        shape.textContent = { type: 'text', style: {
          text: plot.names[plot.nodes[node][1]], fill: state.found && state.found(plot.names[plot.nodes[node][1]]) ? look.surface : look.text,
          fontSize: 12, width: width - 8, overflow: 'truncate', ellipsis: '…' } };
        shape.textConfig = { position: 'insideLeft', distance: 4 };
      }
      return shape;
    }
  }];
  return option;
};

tide.flameHeight = function (plot, look, state) {
  return tide.flame.layout(plot, state.view, state.root).rows * tide.flame.rowHeight + (look.interactive ? 10 : 54);
};
