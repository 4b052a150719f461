// The flame graph in the page: what counts, zoom by click, search.
var tide = tide || {};

tide.flameView = function (spec) {
  'use strict';
  var element = tide.element;
  var box = element('div', { 'class': 'plot', role: 'img', 'aria-label': spec.title });
  var plot = new tide.plots.Plot(spec, box);
  var state = { view: spec.first || 0, root: 0, found: null };
  var said = element('span', { 'class': 'said', role: 'status' });

  plot.option = function () { return tide.options.flame(spec, tide.scheme.look(), state); };
  var draw = plot.draw;
  plot.draw = function () {
    box.style.height = tide.flameHeight(spec, tide.scheme.look(), state) + 'px';
    if (plot.chart) plot.chart.resize();
    var isNew = !plot.chart;
    draw.call(plot);
    if (isNew) plot.chart.on('click', function (event) { zoom(event.data[3]); });
    say();
  };

  // Each call counts once, however often it stands in a stack.
  function share() {
    var nodes = spec.nodes, at = 2 + state.view, inside = [], sum = 0;
    for (var i = 0; i < nodes.length; ++i) {
      var above = nodes[i][0] >= 0 && inside[nodes[i][0]];
      inside[i] = above || state.found(spec.names[nodes[i][1]]);
      if (inside[i] && !above) sum += nodes[i][at];
    }
    return nodes[0][at] > 0 ? sum / nodes[0][at] : 0;
  }
  function say() {
    var view = spec.views[state.view];
    var text = 'all: ' + tide.format(spec.nodes[0][2 + state.view], view.unit);
    if (state.root !== 0) text = 'shown: ' + tide.format(spec.nodes[state.root][2 + state.view], view.unit) + ' of ' + tide.format(spec.nodes[0][2 + state.view], view.unit);
    if (state.found) text = 'found in ' + tide.format(share(), 'percent') + ' of ' + view.name.toLowerCase() + '; ' + text;
    said.textContent = text;
    back.disabled = state.root === 0;
  }
  function zoom(node) {
    state.root = node === state.root ? Math.max(0, spec.nodes[node][0]) : node;
    plot.draw();
  }

  var search = element('input', {
    type: 'search', placeholder: 'Search a function', 'aria-label': 'Search the flame graph', oninput: function () {
      var text = search.value.trim().toLowerCase();
      state.found = text ? function (name) { return name.toLowerCase().indexOf(text) >= 0; } : null;
      plot.draw();
    }
  });
  var back = element('button', { type: 'button', text: 'Whole graph', onclick: function () { zoom(0); state.root = 0; plot.draw(); } });
  var views = tide.plots.chooser(spec.views.map(function (v) { return v.name; }), state.view, function (i) {
    state.view = i;
    if (!(spec.nodes[state.root][2 + i] > 0)) state.root = 0;
    plot.draw();
  });
  tide.plots.add(plot);
  return [element('div', { 'class': 'tools' }, views.concat([search, back, said])), element('div', { 'class': 'flame-box' }, [box])];
};
