// The page from its data.
(function () {
  'use strict';
  var element = tide.element;
  var data = JSON.parse(document.getElementById('data').textContent);
  var main = document.getElementById('main');
  var contents = document.getElementById('contents');
  tide.scheme.apply();

  var makers = {
    table: tide.table,
    flame: tide.flameView,
    code: function (item) { return item.lines.map(function (line) { return element('pre', { text: line }); }); }
  };
  function card(item) {
    var made = element('div', { 'class': 'card', id: item.id }, [
      element('h3', { text: item.title }), item.how ? element('p', { 'class': 'how', text: item.how }) : null]);
    (makers[item.type] || tide.plots.make)(item).forEach(function (part) { if (part) made.appendChild(part); });
    return made;
  }
  function facts(pairs) {
    return element('dl', { 'class': 'facts' }, pairs.map(function (pair) {
      return element('div', {}, [element('dt', { text: pair[0] }), element('dd', { text: tide.format(pair[1], pair[2]) })]);
    }));
  }

  main.appendChild(element('header', {}, [
    element('h1', { text: data.title }), element('p', { 'class': 'sub', text: data.about })]));
  main.appendChild(element('div', { 'class': 'answer', id: 'answer' }, data.answer.map(function (line) { return element('p', { text: line }); })));

  var list = element('ul', {}, [element('li', { 'class': 'top' }, [element('a', { href: '#answer', text: 'In short' })])]);
  data.sections.forEach(function (section) {
    var part = element('section', { 'class': 'part', id: section.id }, [
      element('p', { 'class': 'kind', text: section.kind }), element('h2', { text: section.title }),
      section.lead ? element('p', { 'class': 'lead', text: section.lead }) : null]);
    (section.notes || []).forEach(function (note) { part.appendChild(element('p', { 'class': 'note', text: note })); });
    if (section.facts && section.facts.length) part.appendChild(facts(section.facts));
    list.appendChild(element('li', { 'class': 'top' }, [element('a', { href: '#' + section.id, text: section.title })]));
    for (var i = 0; i < section.items.length; ++i) {
      var item = section.items[i], next = section.items[i + 1];
      list.appendChild(element('li', { 'class': 'sub' }, [element('a', { href: '#' + item.id, text: item.title })]));
      if (item.half && next && next.half) {
        list.appendChild(element('li', { 'class': 'sub' }, [element('a', { href: '#' + next.id, text: next.title })]));
        part.appendChild(element('div', { 'class': 'pair' }, [card(item), card(next)]));
        ++i;
      } else {
        part.appendChild(card(item));
      }
    }
    main.appendChild(part);
  });
  var scheme = element('button', { type: 'button', id: 'scheme', onclick: function () { tide.scheme.toggle(); } });
  function name() { scheme.textContent = tide.scheme.isDark() ? 'Light colours' : 'Dark colours'; }
  tide.scheme.changed(name);
  name();
  contents.appendChild(element('div', { 'class': 'mark', text: 'tide report' }));
  contents.appendChild(list);
  contents.appendChild(scheme);
  main.appendChild(element('footer', { text: data.footer }));

  // Marks where the reader is.
  if ('IntersectionObserver' in window) {
    var links = {};
    list.querySelectorAll('a').forEach(function (a) { links[a.getAttribute('href').slice(1)] = a.parentNode; });
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        for (var id in links) links[id].classList.toggle('here', id === entry.target.id);
      });
    }, { rootMargin: '-10% 0px -75% 0px' });
    for (var id in links) watcher.observe(document.getElementById(id));
  }
  document.documentElement.setAttribute('data-ready', 'yes');
})();
