// Tables that sort by a click on a column's head; long ones show their first rows until asked.
var tide = tide || {};

tide.table = function (spec) {
  'use strict';
  var element = tide.element;
  // Rows of long texts are high.
  var kShown = spec.columns.some(function (column) { return column.wide; }) ? 8 : 15;
  var rows = spec.rows.slice();
  var sorted = -1, descending = false, isWhole = rows.length <= kShown + 3;
  var body = element('tbody');
  var more = element('button', { type: 'button', onclick: function () { isWhole = !isWhole; fill(); } });

  function isText(column) { return column.unit === 'text'; }
  // The best value of a column; a column says which end is good.
  var best = spec.columns.map(function (column, i) {
    if (!column.best || spec.rows.length < 2) return null;
    var values = spec.rows.map(function (row) { return row[i]; }).filter(function (v) { return typeof v === 'number'; });
    return values.every(function (v) { return v === values[0]; }) ? null : Math[column.best === 'low' ? 'min' : 'max'].apply(null, values);
  });

  function cell(row, column, i) {
    var value = row[i];
    var attributes = { 'class': (isText(column) ? 'text' : '') + (column.wide ? ' wide' : '') };
    if (best[i] !== null && value === best[i]) attributes['class'] += ' best';
    if (column.bad && typeof value === 'string' && value !== 'ok') attributes['class'] += ' bad';
    var made = element('td', attributes);
    if (column.color !== undefined && row[column.color] !== undefined) {
      var dot = element('span', { 'class': 'dot' });
      dot.tideColor = row[column.color];
      dot.style.background = tide.looks.color(tide.scheme.look(), dot.tideColor);
      made.appendChild(dot);
    }
    // A cell may bring its own unit: [value, unit].
    var isOwn = Array.isArray(value);
    var text = document.createTextNode(isOwn ? tide.format(value[0], value[1]) : tide.format(value, column.unit));
    // Two lines of a long text; a click shows the rest.
    made.appendChild(!column.wide ? text : element('div', {
      'class': 'clip', title: String(value), onclick: function (event) { event.currentTarget.classList.toggle('clip'); }
    }, [text]));
    if (typeof value === 'number' && !isText(column)) made.title = String(value);
    return made;
  }
  function fill() {
    body.textContent = '';
    (isWhole ? rows : rows.slice(0, kShown)).forEach(function (row) {
      body.appendChild(element('tr', {}, spec.columns.map(function (column, i) { return cell(row, column, i); })));
    });
    more.textContent = isWhole ? 'Show the first ' + kShown : 'Show all ' + rows.length + ' rows';
  }
  function compare(a, b) {
    if (Array.isArray(a)) return compare(a[0], b[0]);
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    var order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
    return descending ? -order : order;
  }
  var heads = spec.columns.map(function (column, i) {
    return element('th', { scope: 'col', 'class': isText(column) ? 'text' : '' }, [element('button', {
      type: 'button', text: column.name, title: column.how || 'Sort', onclick: function () {
        descending = sorted === i ? !descending : !isText(column) && column.best !== 'low';
        sorted = i;
        rows.sort(function (a, b) { return compare(a[i], b[i]); });
        heads.forEach(function (head, j) {
          if (j === i) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
          else head.removeAttribute('aria-sort');
        });
        fill();
      }
    })]);
  });
  fill();
  tide.scheme.changed(function () {
    body.querySelectorAll('.dot').forEach(function (dot) { dot.style.background = tide.looks.color(tide.scheme.look(), dot.tideColor); });
  });
  return [element('div', { 'class': 'scroll', tabindex: '0', role: 'region', 'aria-label': spec.title }, [element('table', {}, [
    element('thead', {}, [element('tr', {}, heads)]), body])]),
  spec.rows.length > kShown + 3 ? element('div', { 'class': 'tools' }, [more]) : null];
};
