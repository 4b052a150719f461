#!/usr/bin/env python3
"""The pages of tide report in a headless Chromium: nothing is fetched, nothing is said on the console,
and what can be clicked does what it says."""

import pathlib
import tempfile

import inputs
from browser import Browser
from inputs import check

# The chart of a plot; what is in the page only once it has come into sight.
CHART = "echarts.getInstanceByDom(document.querySelector('[id$=\"{}\"] .plot'))"


def show(browser, ending):
    browser.value(f"document.querySelector('[id$=\"{ending}\"]').scrollIntoView({{behavior: 'instant'}})")
    browser.wait(CHART.format(ending))


def place(browser, selector):
    return browser.value(f"(() => {{ const e = document.querySelector('{selector}');"
                         "e.scrollIntoView({block: 'center', behavior: 'instant'});"
                         "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()")


def press(browser, selector):
    browser.click(*place(browser, selector))


def is_quiet(browser):
    check(not browser.messages, f"the page said: {browser.messages}")


def replay_page(browser, page):
    browser.open(page)
    for ending in ("-figures", "-memory", "-wall", "-rss", "-pareto", "-latency", "-system-calls"):
        check(browser.value(f"document.querySelectorAll('[id$=\"{ending}\"]').length") == 1, f"no {ending}")
    check(inputs.HOSTILE in browser.value("document.getElementById('answer').textContent"),
          "the sentence is not there as it is")
    # Series on and off.
    show(browser, "-memory")
    chart = CHART.format("-memory")
    check(browser.value(f"{chart}.getOption().series.length") == 7, "five allocators, ideal, recorded")
    browser.value(f"{chart}.dispatchAction({{type: 'legendToggleSelect', name: 'glibc'}})")
    check(browser.value(f"{chart}.getOption().legend[0].selected.glibc") is False, "glibc is still on")
    # Zoom, and hover.
    browser.value(f"{chart}.dispatchAction({{type: 'dataZoom', start: 20, end: 40}})")
    check(browser.value(f"{chart}.getOption().dataZoom[0].start") == 20, "no zoom")
    x, y = place(browser, '[id$="-memory"] .plot')
    browser.hover(x, y)
    browser.wait("[...document.querySelectorAll('[id$=\"-memory\"] .plot div')]"
                 ".some(e => e.textContent.includes('jemalloc') && e.textContent.includes('MiB'))")
    # Another view.
    press(browser, '[id$="-memory"] .tools button:nth-child(2)')
    browser.wait(f"{chart}.getOption().yAxis[0].name === 'VmSize'")
    # Sorting, both ways.
    column = "[...document.querySelectorAll('[id$=\"-figures\"] tbody tr')].map(r => r.cells[0].textContent)"
    press(browser, '[id$="-figures"] th:nth-child(3) button')
    first = browser.value(column)
    check(first[0] == "tide" and first[-1] == "brittle", f"by time: {first}")
    press(browser, '[id$="-figures"] th:nth-child(3) button')
    check(browser.value(column)[0] != "tide", "not sorted the other way")
    check(browser.value("document.querySelector('[id$=\"-figures\"] th:nth-child(3)').ariaSort")
          == "descending", "what is sorted is not said")
    is_quiet(browser)


def trace_page(browser, page):
    browser.open(page)
    # What is switched off does not press the others flat; switched on, it has room.
    show(browser, "-memory")
    chart = CHART.format("-memory")
    highest = browser.value("(() => { const s = JSON.parse(document.getElementById('data').textContent).sections"
                            ".flatMap(s => s.items).find(i => i.id.endsWith('-memory')).series;"
                            "return Object.fromEntries(s.map(s => [s.name, Math.max(...s.points.map(p => p[1]))])); })()")
    on = [value for name, value in highest.items() if name != "VmSize"]
    top = f"{chart}.getOption().yAxis[0].max"
    check(max(on) <= browser.value(top) < 2.1 * max(on), f"the axis ends at {browser.value(top)}: {highest}")
    if "VmSize" in highest:
        browser.value(f"{chart}.dispatchAction({{type: 'legendToggleSelect', name: 'VmSize'}})")
        browser.wait(f"{top} >= {highest['VmSize']}")
    check(inputs.HOSTILE.rsplit("/", 1)[-1] in browser.value("document.querySelector('h2').textContent"),
          "the program's name is not there as it is")
    for ending in ("-memory", "-sizes-over-time", "-sizes", "-lifetimes", "-size-by-lifetime", "-rate"):
        show(browser, ending)
    is_quiet(browser)


def flame_page(browser, page):
    browser.open(page)
    show(browser, "-flame")
    name = browser.value("JSON.parse(document.getElementById('data').textContent).sections"
                         ".flatMap(s => s.items).find(i => i.type === 'flame').names[1]")
    browser.value("(() => { const e = document.querySelector('input[type=search]');"
                  f"e.value = {name!r}; e.dispatchEvent(new Event('input')); }})()")
    browser.wait("document.querySelector('.said').textContent.startsWith('found in')")
    # A click on the second row, in its middle, makes it the widest.
    chart = CHART.format("-flame")
    before = browser.value(f"{chart}.getOption().series[0].data.length")
    x, y, width = browser.value(
        "(() => { const b = document.querySelector('[id$=\"-flame\"] .plot').getBoundingClientRect();"
        "return [b.x, b.y, b.width]; })()")
    browser.click(x + 20, y + 4 + 30)
    browser.wait("!document.querySelector('.flame-box').previousSibling.querySelector('input + button').disabled")
    browser.value("document.querySelector('.flame-box').previousSibling.querySelector('input + button').click()")
    check(browser.value(f"{chart}.getOption().series[0].data.length") == before, "not the whole graph again")
    is_quiet(browser)


def course_page(browser, page):
    browser.open(page)
    show(browser, "-by-stack")
    chart = CHART.format("-by-stack")
    # Layers lie upon each other: the highest of the axis is that of the sum.
    check(browser.value(f"{chart}.getOption().yAxis[0].max") >= 43000, "the layers are not stacked")
    x, y = place(browser, '[id$="-by-stack"] .plot')
    browser.hover(x, y)
    browser.wait("[...document.querySelectorAll('[id$=\"-by-stack\"] .plot div')]"
                 ".some(e => e.textContent.includes('together'))")
    # Names in the legend do not reach into the plot, however narrow it is.
    for width in (1280, 400):
        browser.resize(width, 900)
        browser.wait(f"document.documentElement.clientWidth === {width}")
        browser.wait("(() => { const plot = document.querySelector('[id$=\"-by-stack\"] .plot');"
                     f"const grid = {chart}.getModel().getComponent('grid').coordinateSystem.getRect();"
                     "const names = plot.tidePlot.spec.series.map(s => s.name);"
                     "const low = Math.max(...[...plot.querySelectorAll('text')].filter(t => names.includes(t.textContent))"
                     ".map(t => t.getBoundingClientRect().bottom)) - plot.getBoundingClientRect().top;"
                     "return low > 0 && low < grid.y; })()")
    browser.resize(1280, 900)
    is_quiet(browser)


def schemes(browser, page):
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.prefer("light")
    browser.open(page)
    light = browser.value(ground)
    browser.prefer("dark")
    browser.wait(f"{ground} !== {light!r}")
    press(browser, "#scheme")
    browser.wait(f"{ground} === {light!r}")
    browser.resize(360, 800)
    browser.wait("document.documentElement.clientWidth === 360")
    # The plots follow the window a moment later: what stays wider fails.
    browser.wait("document.documentElement.scrollWidth <= 360")
    browser.resize(1280, 900)
    is_quiet(browser)


def main():
    with tempfile.TemporaryDirectory() as name, Browser() as browser:
        folder = pathlib.Path(name)
        page = folder / "page.html"
        inputs.report(inputs.replay(folder / "r.json", sentence=inputs.HOSTILE), "-o", page)
        replay_page(browser, page)
        schemes(browser, page)
        source = inputs.trace(folder / "t", 5, program="/bin/" + inputs.HOSTILE)
        inputs.report(source, "-o", page)
        trace_page(browser, page)
        inputs.report(inputs.profile(folder / "p.pb"), "-o", page)
        flame_page(browser, page)
        taken = [inputs.profile(folder / f"p{i}.pb", scale=1 + 9 * i, time_ns=10**18 + i * 10**9) for i in range(5)]
        inputs.report(*taken, "-o", page)
        course_page(browser, page)
    print("ok")


if __name__ == "__main__":
    main()
