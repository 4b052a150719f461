// `tide heap X info ADDR` and `where ADDR`: what is at an address.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "inspect/contents.h"
#include "inspect/modules.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShownBytes = 64;

// "0x... 48 65 6c 6c 6f ...  |Hello...|", 16 bytes a line.
std::string dump_text(uint64_t address, std::span<const std::byte> bytes) {
  std::string text;
  for (size_t line = 0; line < bytes.size(); line += 16) {
    const auto part = bytes.subspan(line, std::min<size_t>(16, bytes.size() - line));
    std::string codes;
    std::string letters;
    for (const std::byte byte : part) {
      const auto value = static_cast<unsigned>(byte);
      codes += fmt::format(" {:02x}", value);
      letters += value >= 0x20 && value < 0x7f ? static_cast<char>(value) : '.';
    }
    text += fmt::format("  {:#x} {:<48}  |{}|\n", address + line, codes, letters);
  }
  return text;
}

// A frame's address is where the call returns to.
std::string stack_text(const char* what, const walk::CallStack& stack,
                       const inspect::Modules& modules) {
  if (stack.frames.empty()) return {};
  std::string text = fmt::format("{} by thread {} at:\n", what, stack.thread);
  for (const uint64_t frame : stack.frames) {
    text += fmt::format("  {:#x} {}\n", frame, modules.describe(frame));
  }
  return text;
}

Json stack_json(const walk::CallStack& stack, const inspect::Modules& modules) {
  Json frames = Json::array();
  Json places = Json::array();
  for (const uint64_t frame : stack.frames) {
    frames.push_back(hex_text(frame));
    places.push_back(modules.describe(frame));
  }
  return {{"thread", stack.thread}, {"frames", frames}, {"places", places}};
}

struct Neighbours {
  std::optional<walk::Place> before;
  std::optional<walk::Place> after;
};

Neighbours find_neighbours(const walk::Heap& heap, const walk::Place& place) {
  Neighbours found;
  if (place.address > place.span.start) found.before = heap.find(place.address - 1);
  const uint64_t end = place.address + std::max(place.bytes, place.class_bytes);
  if (place.class_bytes != 0 && end < place.span.end) found.after = heap.find(end);
  return found;
}

std::string neighbour_text(const char* where, const std::optional<walk::Place>& place) {
  if (!place.has_value()) return {};
  return fmt::format("{}: {:#x}, {} bytes, {}\n", where, place->address, place->bytes,
                     walk::state_name(place->state));
}

Json place_json(const walk::Place& place, const inspect::Modules& modules) {
  Json json = {{"address", hex_text(place.address)},
               {"size", place.bytes},
               {"state", walk::state_name(place.state)},
               {"class_size", place.class_bytes},
               {"heap", place.owner},
               {"span", {hex_text(place.span.start), hex_text(place.span.end)}},
               {"where", place.where}};
  if (!place.allocated.frames.empty()) json["allocated"] = stack_json(place.allocated, modules);
  if (!place.freed.frames.empty()) json["freed"] = stack_json(place.freed, modules);
  return json;
}

// Of an address that is no heap's.
std::string elsewhere_text(const HeapSession& session, uint64_t address) {
  const walk::Segment* const segment = session.target->segment_of(address);
  if (segment == nullptr) return "nothing is mapped there";
  const std::string name = segment->file.empty() ? "an anonymous mapping" : segment->file;
  return fmt::format("no block: {} bytes into {} ({:#x}-{:#x}, {}{}{})", address - segment->start,
                     name, segment->start, segment->end, segment->is_readable ? "r" : "-",
                     segment->is_writable ? "w" : "-", segment->is_executable ? "x" : "-");
}

std::string title_of(const HeapSession& session, const walk::Place& place) {
  return inspect::block_title(*session.target, session.heaps,
                              {place.address, place.bytes, place.owner});
}

std::string place_text(const HeapSession& session, const walk::Heap& heap, const walk::Place& place,
                       uint64_t address) {
  std::string text = fmt::format("{:#x}: {} block of {} bytes", place.address,
                                 walk::state_name(place.state), place.bytes);
  if (place.class_bytes != 0) text += fmt::format(" (size class {})", place.class_bytes);
  if (address != place.address) text += fmt::format(", {} bytes into it", address - place.address);
  if (!place.where.empty()) text += fmt::format(", {}", place.where);
  if (place.owner != 0) text += fmt::format(", of heap {}", place.owner);
  text += fmt::format("\nin {:#x}-{:#x}, {}\n", place.span.start, place.span.end, heap.allocator());
  walk::Buffer buffer;
  const auto bytes =
      session.target->view(place.address, std::min<uint64_t>(place.bytes, kShownBytes), buffer);
  text += dump_text(place.address, bytes);
  if (place.state == walk::BlockState::kLive) {
    text += fmt::format("it looks like: {}\n", title_of(session, place));
  }
  const Neighbours neighbours = find_neighbours(heap, place);
  text += neighbour_text("before it", neighbours.before);
  text += neighbour_text("behind it", neighbours.after);
  const inspect::Modules modules(*session.target);
  text += stack_text("allocated", place.allocated, modules);
  text += stack_text("freed", place.freed, modules);
  return text;
}

int run(HeapSession& session, const Arguments& arguments) {
  const auto argument = only_argument(kInfoQuestion, arguments);
  if (!argument.has_value()) {
    throw host::Error("info: no address given; as in: tide heap 4711 info 0x7f0012345670",
                      host::kExitUsage);
  }
  const uint64_t address = parse_address("info", *argument);
  for (const auto& heap : session.heaps) {
    const auto place = heap->find(address);
    if (!place.has_value()) continue;
    if (!session.as_json) {
      print(place_text(session, *heap, *place, address));
      return host::kExitOk;
    }
    const inspect::Modules modules(*session.target);
    Json json = place_json(*place, modules);
    json["offset"] = address - place->address;
    if (place->state == walk::BlockState::kLive) json["type"] = title_of(session, *place);
    const Neighbours neighbours = find_neighbours(*heap, *place);
    if (neighbours.before) json["before"] = place_json(*neighbours.before, modules);
    if (neighbours.after) json["behind"] = place_json(*neighbours.after, modules);
    walk::Buffer buffer;
    std::string first;
    for (const std::byte byte : session.target->view(
             place->address, std::min<uint64_t>(place->bytes, kShownBytes), buffer)) {
      first += fmt::format("{:02x}", static_cast<unsigned>(byte));
    }
    json["first_bytes"] = first;
    print(json_line(json));
    return host::kExitOk;
  }
  const std::string text = elsewhere_text(session, address);
  if (session.as_json) {
    print(json_line({{"address", hex_text(address)}, {"state", "none"}, {"where", text}}));
  } else {
    print(fmt::format("{:#x}: {}\n", address, text));
  }
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kInfoQuestion = {"info", "ADDR", "The block at an address, and its neighbours",
                                    "4711 info 0x7f0012345670", run};
const HeapQuestion kWhereQuestion = {"where", "ADDR", "The same as info",
                                     "4711 where 0x7f0012345670", run};

}  // namespace tide::cli
