#include "inspect/modules.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "host/demangle.h"

namespace tide::inspect {
namespace {

// Where variables that begin as zero lie in a mapping of their own; behind that many bytes it is
// more likely something else.
constexpr uint64_t kMostZeroed = 1 << 20;

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // all of it where there is no '/'
}

bool is_library(std::string_view path) {
  const std::string_view name = file_name(path);
  return name.ends_with(".so") || name.find(".so.") != std::string_view::npos;
}

}  // namespace

struct Modules::Module {
  std::string path;
  const walk::Segment* first;
  std::string given;      // the file that was named for the program, if this is it
  uint64_t start;         // of its first segment
  uint64_t offset;        // of that in the file
  bool has_code = false;  // else it is a file that the program mapped
  bool is_read = false;
  uint64_t bias = 0;  // what the loader added to the file's addresses
  std::unique_ptr<SymbolTable> symbols;
};

Modules::Modules(const walk::Target& target) : target_(target) {
  const walk::Segment* last = nullptr;
  for (const walk::Segment& segment : target.segments()) {
    Module* module = nullptr;
    if (segment.is_file()) {
      const auto known =
          std::find_if(modules_.rbegin(), modules_.rend(), [&](const std::unique_ptr<Module>& m) {
            return m->path == segment.file && segment.offset >= m->offset;
          });
      if (known == modules_.rend() || (segment.offset == 0 && (*known)->has_code)) {
        modules_.push_back(std::make_unique<Module>(Module{
            segment.file, &segment, {}, segment.start, segment.offset, false, false, 0, nullptr}));
        module = modules_.back().get();
      } else {
        module = known->get();
      }
      if (segment.is_executable) module->has_code = true;
    } else if (segment.file.empty() && segment.is_writable && last != nullptr && last->is_file() &&
               last->is_writable && last->end == segment.start && !pieces_.empty()) {
      module = pieces_.back().module;
    }
    if (module != nullptr && segment.is_readable) {
      const bool is_zeroed = !segment.is_file();
      const uint64_t end =
          is_zeroed ? std::min(segment.end, segment.start + kMostZeroed) : segment.end;
      pieces_.push_back({segment.start, end, module, segment.is_executable});
    }
    last = &segment;
  }
  std::erase_if(pieces_, [](const Piece& piece) { return !piece.module->has_code; });
  for (const Piece& piece : pieces_) {
    lowest_ = std::min(lowest_, piece.start);
    highest_ = std::max(highest_, piece.end);
  }
  // The file that was named for the program may be elsewhere than where the target had it.
  const std::string program = target.program();
  const bool is_there = std::any_of(modules_.begin(), modules_.end(),
                                    [&](const auto& module) { return module->path == program; });
  if (program.empty() || is_there) return;
  for (const std::unique_ptr<Module>& module : modules_) {
    if (!module->has_code || is_library(module->path)) continue;
    module->path = program;
    module->given = program;
    break;
  }
}

Modules::~Modules() = default;

const Modules::Piece* Modules::piece_of(uint64_t address) const {
  if (address < lowest_ || address >= highest_) return nullptr;
  auto after = std::upper_bound(pieces_.begin(), pieces_.end(), address,
                                [](uint64_t a, const Piece& p) { return a < p.start; });
  if (after == pieces_.begin()) return nullptr;
  --after;
  return address < after->end ? &*after : nullptr;
}

walk::Range Modules::gap_around(uint64_t address) const {
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), address,
                                      [](uint64_t a, const Piece& p) { return a < p.start; });
  return {after == pieces_.begin() ? 0 : after[-1].end,
          after == pieces_.end() ? UINT64_MAX : after->start};
}

bool Modules::is_code(uint64_t address) const {
  const Piece* const piece = piece_of(address);
  return piece != nullptr && piece->is_executable;
}

const SymbolTable* Modules::symbols_of(Module& module) const {
  if (module.is_read) return module.symbols.get();
  module.is_read = true;
  std::string path = module.given;
  if (path.empty() || access(path.c_str(), R_OK) != 0) path = target_.path_of(*module.first);
  if (path.empty()) return nullptr;
  auto symbols = std::make_unique<SymbolTable>(path);
  const std::optional<uint64_t> address = symbols->address_of(module.offset);
  if (!address.has_value()) return nullptr;
  module.bias = module.start - *address;
  const std::string& expected = symbols->build_id();
  std::string found(expected.size(), '\0');
  if (!expected.empty() &&
      target_.try_read(module.bias + symbols->build_id_address(), found.data(), found.size()) &&
      found != expected) {
    return nullptr;
  }
  module.symbols = std::move(symbols);
  return module.symbols.get();
}

std::optional<Modules::Name> Modules::name_of(uint64_t address) const {
  const Piece* const piece = piece_of(address);
  if (piece == nullptr) return std::nullopt;
  const SymbolTable* const symbols = symbols_of(*piece->module);
  if (symbols == nullptr) return std::nullopt;
  const uint64_t own = address - piece->module->bias;
  const std::optional<Symbol> symbol = symbols->find(own);
  if (!symbol.has_value()) return std::nullopt;
  return Name{symbol->name, own - symbol->value};
}

std::string Modules::place_of(uint64_t address) const {
  const Piece* const piece = piece_of(address);
  if (piece == nullptr) return {};
  const Module& module = *piece->module;
  return fmt::format("{}+{:#x}", file_name(module.path), address - module.start + module.offset);
}

std::string Modules::describe(uint64_t address) const {
  const std::optional<Name> name = name_of(address);
  if (!name.has_value()) return place_of(address);
  const std::string text = host::demangled_symbol(name->symbol);
  return name->offset == 0 ? text : fmt::format("{}+{:#x}", text, name->offset);
}

}  // namespace tide::inspect
