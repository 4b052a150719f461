// Light or dark: as the system says, or as the reader chose.
var tide = tide || {};

tide.scheme = (function () {
  'use strict';
  var system = window.matchMedia('(prefers-color-scheme: dark)');
  var chosen = null;
  var printing = false;
  var listeners = [];

  function isDark() { return !printing && (chosen === null ? system.matches : chosen === 'dark'); }
  function look() {
    var base = isDark() ? tide.looks.dark : tide.looks.light;
    var made = { interactive: true };
    for (var key in base) made[key] = base[key];
    return made;
  }
  function apply() {
    document.documentElement.setAttribute('data-scheme', isDark() ? 'dark' : 'light');
    listeners.forEach(function (listener) { listener(); });
  }
  system.addEventListener('change', apply);
  window.addEventListener('beforeprint', function () { printing = true; apply(); });
  window.addEventListener('afterprint', function () { printing = false; apply(); });

  return {
    look: look,
    isDark: isDark,
    toggle: function () { chosen = isDark() ? 'light' : 'dark'; apply(); },
    changed: function (listener) { listeners.push(listener); },
    apply: apply
  };
})();
