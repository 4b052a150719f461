// Colours that can be told apart, on light and on dark ground, also by colour-blind eyes.
var tide = tide || {};

tide.looks = (function () {
  'use strict';

  var light = {
    dark: false, text: '#1c2430', muted: '#5b6675', line: '#d5dbe3', grid: '#e9edf2', surface: '#ffffff',
    strong: '#0b7285',
    colors: ['#0b7285', '#c2410c', '#6d28d9', '#15803d', '#be185d', '#1d4ed8', '#a16207', '#475569', '#0e7490', '#7c2d12'],
    heat: ['#eef6f8', '#bfe0e6', '#7cc0cc', '#3a97a8', '#0b7285', '#084c59', '#052c34'],
    more: '#c2410c', less: '#1d4ed8', same: '#cbd2da', found: '#7c3aed'
  };
  var dark = {
    dark: true, text: '#e6eaf0', muted: '#9aa6b5', line: '#3a4554', grid: '#2a333f', surface: '#1a212b',
    strong: '#4cc3d6',
    colors: ['#4cc3d6', '#fb923c', '#b79cff', '#5fd38a', '#f472b6', '#7aa7ff', '#e3c04f', '#aab6c5', '#67e8f9', '#fdba74'],
    heat: ['#1f2a35', '#17434d', '#156270', '#1f8798', '#4cb4c5', '#9bdde8', '#e4f9fc'],
    more: '#fb923c', less: '#7aa7ff', same: '#4a5563', found: '#c4a5ff'
  };

  // Colour of a series: a number is a place in the list, a word a name of its own.
  function color(look, key) {
    if (key === 'ideal' || key === 'muted') return look.muted;
    if (typeof key === 'number') return look.colors[key % look.colors.length];
    return look[key] || look.strong;
  }

  return { light: light, dark: dark, color: color };
})();
