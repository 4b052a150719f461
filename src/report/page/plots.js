// Plots in the page: made when they come into sight, drawn again when width or colours change.
var tide = tide || {};

tide.plots = (function () {
  'use strict';
  var element = tide.element;
  var all = [];

  function Plot(spec, box) {
    this.spec = spec;
    this.box = box;
    this.view = spec.first || 0;
    this.chart = null;
  }
  // What is drawn: the plot with the fields of its chosen view on top.
  Plot.prototype.shown = function () {
    var spec = this.spec, made = {}, key;
    for (key in spec) made[key] = spec[key];
    if (spec.views && spec.type !== 'flame') for (key in spec.views[this.view]) if (key !== 'name') made[key] = spec.views[this.view][key];
    return made;
  };
  // The box is higher by what a legend of several rows takes.
  Plot.prototype.option = function () {
    var look = tide.scheme.look(), shown = this.shown();
    look.width = this.width = this.box.clientWidth;
    if (shown.series && !shown.sideways) {
      var names = shown.series.length > 1 ? shown.series.map(function (s) { return s.name; }) : [];
      this.box.style.setProperty('--legend', tide.common.legendRoom(look, names) + 'px');
      if (this.chart) this.chart.resize();
    }
    return tide.options[this.spec.type](shown, look);
  };
  Plot.prototype.draw = function () {
    if (!this.chart) {
      this.chart = echarts.init(this.box, null, { renderer: this.spec.type === 'heat' || this.spec.type === 'flame' ? 'canvas' : 'svg' });
    }
    this.chart.setOption(this.option(), true);
    if (this.spec.type !== 'lines') return;
    var plot = this;
    this.chart.off('datazoom');
    this.chart.on('datazoom', function () {
      var shown = plot.shown(), axis = { interval: null };
      var ends = plot.chart.getModel().getComponent('xAxis').axis.scale.getExtent();
      if (shown.x.log) return;
      tide.common.roundTimes(axis, shown.x.unit, ends[1] - ends[0]);
      plot.chart.setOption({ xAxis: axis });
    });
    this.chart.off('legendselectchanged');
    this.chart.on('legendselectchanged', function (event) {
      var axis = {};
      tide.fitLines(plot.shown(), event.selected, axis);
      plot.chart.setOption({ yAxis: axis });
    });
  };
  Plot.prototype.redraw = function () { if (this.chart) this.draw(); };

  var seen = 'IntersectionObserver' in window ? new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (!entry.isIntersecting) return;
      seen.unobserve(entry.target);
      entry.target.tidePlot.draw();
    });
  }, { rootMargin: '600px' }) : null;
  var resized = new ResizeObserver(function (entries) {
    entries.forEach(function (entry) {
      var plot = entry.target.tidePlot;
      if (!plot.chart) return;
      plot.chart.resize();
      if (plot.width !== undefined && plot.width !== plot.box.clientWidth) plot.draw();
    });
  });
  tide.scheme.changed(function () { all.forEach(function (plot) { plot.redraw(); }); });
  window.addEventListener('beforeprint', function () {
    all.forEach(function (plot) { if (!plot.chart) plot.draw(); });
  });

  function add(plot) {
    plot.box.tidePlot = plot;
    all.push(plot);
    resized.observe(plot.box);
    if (seen) seen.observe(plot.box); else plot.draw();
  }

  // A row of buttons, or a list to choose from when they are many.
  function chooser(names, first, choose) {
    if (names.length > 5) {
      var select = element('select', { 'aria-label': 'What is shown', onchange: function () { choose(select.selectedIndex); } },
        names.map(function (name) { return element('option', { text: name }); }));
      select.selectedIndex = first;
      return [select];
    }
    var buttons = names.map(function (name, i) {
      return element('button', {
        type: 'button', text: name, 'aria-pressed': String(i === first), onclick: function () {
          buttons.forEach(function (button, j) { button.setAttribute('aria-pressed', String(i === j)); });
          choose(i);
        }
      });
    });
    return buttons;
  }

  function make(spec) {
    var box = element('div', { 'class': 'plot', role: 'img', 'aria-label': spec.title + '. ' + (spec.how || '') });
    if (spec.rows) box.style.height = Math.max(15, 8 + spec.rows.length * 1.15) + 'rem';
    if (spec.sideways) box.style.height = Math.max(9, 5 + spec.categories.length * 2.2) + 'rem';
    var plot = new Plot(spec, box);
    add(plot);
    if (!spec.views) return [box];
    return [element('div', { 'class': 'tools' }, chooser(spec.views.map(function (v) { return v.name; }), plot.view, function (i) {
      plot.view = i;
      plot.redraw();
    })), box];
  }

  return { make: make, add: add, Plot: Plot, chooser: chooser };
})();
