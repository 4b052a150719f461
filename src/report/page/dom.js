// Elements, made with text and never with markup: names in the data come from foreign programs.
var tide = tide || {};

tide.element = function (name, attributes, children) {
  'use strict';
  var made = document.createElement(name);
  for (var key in attributes || {}) {
    if (key === 'text') made.textContent = attributes[key];
    else if (key.slice(0, 2) === 'on') made.addEventListener(key.slice(2), attributes[key]);
    else if (attributes[key] !== undefined && attributes[key] !== null) made.setAttribute(key, attributes[key]);
  }
  (children || []).forEach(function (child) {
    if (child) made.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
  });
  return made;
};
