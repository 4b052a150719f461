// Numbers for people. ES5: these files run in browsers and in the engine that writes SVG.
var tide = tide || {};

tide.format = (function () {
  'use strict';

  function trimmed(value, digits) {
    var text = value.toFixed(digits);
    return text.indexOf('.') < 0 ? text : text.replace(/\.?0+$/, '');
  }

  // About three figures.
  function short(value) {
    var size = Math.abs(value);
    return trimmed(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
  }

  function scaled(value, base, names) {
    var i = 0;
    while (Math.abs(value) >= base * 0.9995 && i < names.length - 1) {
      value /= base;
      ++i;
    }
    return short(value) + names[i];
  }

  function grouped(value) {
    return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
  }

  function duration(ns) {
    var size = Math.abs(ns);
    if (size < 1e3) return short(ns) + ' ns';
    if (size < 1e6) return short(ns / 1e3) + ' µs';
    if (size < 1e9) return short(ns / 1e6) + ' ms';
    if (size < 120e9) return short(ns / 1e9) + ' s';
    if (size < 7200e9) return short(ns / 60e9) + ' min';
    return short(ns / 3600e9) + ' h';
  }

  var units = {
    bytes: function (v) { return scaled(v, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']); },
    ns: duration,
    count: function (v) { return Math.abs(v) < 1e5 && v === Math.round(v) ? grouped(v) : scaled(v, 1000, ['', ' k', ' M', ' G', ' T']); },
    exact: grouped,
    rate: function (v) { return scaled(v, 1000, ['', ' k', ' M', ' G']) + '/s'; },
    ratio: function (v) { return trimmed(v, 2) + '×'; },
    percent: function (v) { return trimmed(v * 100, Math.abs(v) < 0.0995 ? 1 : 0) + ' %'; },
    // A share of all from the slow end, as 1 / (1 - share): 100 is "99 %".
    rank: function (v) { return v <= 1 ? '0 %' : trimmed(100 - 100 / v, 4) + ' %'; },
    number: short,
    text: String
  };

  return function (value, unit) {
    if (value === null || value === undefined || value === '') return '–';
    if (typeof value !== 'number') return String(value);
    return (units[unit] || short)(value);
  };
})();
