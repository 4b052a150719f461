#include "report/assets.h"

#include <initializer_list>

#include "host/error.h"

// Puts a file into the program as it is; TIDE_PAGE_FOLDER and TIDE_PLOT_LIBRARY come from the
// build.
#define TIDE_ASSET(name, path)                                                                     \
  asm(".pushsection .rodata\n.global tide_asset_" #name "\ntide_asset_" #name ":\n.incbin \"" path \
      "\"\n.global tide_asset_" #name "_end\ntide_asset_" #name "_end:\n.byte 0\n.popsection\n");  \
  extern "C" const char tide_asset_##name[];                                                       \
  extern "C" const char tide_asset_##name##_end[];

#define TIDE_PAGE(name, file) TIDE_ASSET(name, TIDE_PAGE_FOLDER "/" file)

TIDE_PAGE(page, "page.html")
TIDE_PAGE(style, "style.css")
TIDE_PAGE(format, "format.js")
TIDE_PAGE(palette, "palette.js")
TIDE_PAGE(common, "option_common.js")
TIDE_PAGE(lines, "option_lines.js")
TIDE_PAGE(bars, "option_bars.js")
TIDE_PAGE(heat, "option_heat.js")
TIDE_PAGE(scatter, "option_scatter.js")
TIDE_PAGE(flame_option, "option_flame.js")
TIDE_PAGE(svg, "svg.js")
TIDE_PAGE(dom, "dom.js")
TIDE_PAGE(scheme, "scheme.js")
TIDE_PAGE(plots, "plots.js")
TIDE_PAGE(flame, "flame.js")
TIDE_PAGE(tables, "tables.js")
TIDE_PAGE(main, "main.js")
#ifdef TIDE_PLOT_LIBRARY
TIDE_ASSET(library, TIDE_PLOT_LIBRARY)
#endif

namespace tide::report {
namespace {

#define TIDE_TEXT(name)               \
  std::string_view(tide_asset_##name, \
                   static_cast<size_t>(tide_asset_##name##_end - tide_asset_##name))

std::string joined(std::initializer_list<std::string_view> files) {
  std::string text;
  for (const std::string_view file : files) text += file;
  return text;
}

std::string option_scripts() {
  return joined({TIDE_TEXT(format), TIDE_TEXT(palette), TIDE_TEXT(common), TIDE_TEXT(lines),
                 TIDE_TEXT(bars), TIDE_TEXT(heat), TIDE_TEXT(scatter), TIDE_TEXT(flame_option)});
}

}  // namespace

std::string_view page_template() { return TIDE_TEXT(page); }
std::string_view page_style() { return TIDE_TEXT(style); }

std::string page_scripts() {
  return option_scripts() + joined({TIDE_TEXT(dom), TIDE_TEXT(scheme), TIDE_TEXT(plots),
                                    TIDE_TEXT(flame), TIDE_TEXT(tables), TIDE_TEXT(main)});
}

std::string svg_scripts() { return option_scripts() + std::string(TIDE_TEXT(svg)); }

std::string_view plot_library() {
#ifdef TIDE_PLOT_LIBRARY
  return TIDE_TEXT(library);
#else
  throw host::Error(
      "this tide was built without the library that draws plots, because it could not be fetched; "
      "with a network run: tools/setup build && make");
#endif
}

}  // namespace tide::report
