"""What instrument.py changes in headers of src/: types that have to be words of the checker, and
mistakes that a model has to find. An entry is (header, text, new text)."""


def mistake(name, wrong, right):
    """`wrong` in place of `right` when the mistake `name` is on."""
    return f'(::checker::mutated("{name}") ? ({wrong}) : ({right}))'


changes = [
    # A batch is plain memory: its words are ordered by the depot's word alone.
    ("heap/depot.h", "    uint32_t count = 0;\n    void* blocks[layout::kMaxBatch] = {};",
     "    ::checker::Plain<uint32_t> count;\n    ::checker::Plain<void*> blocks[4];"),
    ("heap/depot.h", "before == 0 || before + count <= bound.blocks", "before + count <= 4"),
    ("heap/depot.h", "there + count <= bound.blocks", "there + count <= 4"),
    ("heap/depot.h", "if (!word_.compare_exchange_weak(word, claimed(word, slot), ",
     "if (!word_.compare_exchange_weak(word, "
     + mistake("depot: filled without a claim", "word & ~full_bit(slot)", "claimed(word, slot)") + ", "),
    ("heap/depot.h", "} while (!word_.compare_exchange_weak(word, claimed(word, slot), ",
     "} while (!word_.compare_exchange_weak(word, "
     + mistake("depot: emptied without a claim", "word & ~full_bit(slot)", "claimed(word, slot)") + ", "),
    ("heap/depot.h", "joins ? batch.count : 0;",
     mistake("depot: joins as if it were alone", "0", "(joins ? uint32_t{batch.count} : 0)") + ";"),
    ("heap/depot.h", "    word_.fetch_and(~claim_bit(slot), ",
     "    if (::checker::mutated(\"depot: claim dropped by a plain store\")) {\n"
     "      word_.store(word & ~full_bit(slot), std::memory_order_relaxed);\n"
     "      return count;\n    }\n    word_.fetch_and(~claim_bit(slot), "),

    ("heap/depot.h", "memcpy(batch.blocks + before, blocks, count * sizeof *blocks);",
     "for (uint32_t i = 0; i < count; ++i) batch.blocks[before + i] = blocks[i];"),
    ("heap/depot.h", "memcpy(out, batch.blocks + (all - count), count * sizeof *out);",
     "for (uint32_t i = 0; i < count; ++i) out[i] = batch.blocks[all - count + i];"),
    ("heap/depot.h", "&batch.count, all - count, ",
     "&batch.count, "
     + mistake("depot: a part is left in its batch", "all", "all - count") + ", "),

    ("ds/lock.h", "kSpins = 64", "kSpins = 1"),
    ("ds/lock.h", "== kContended) {\n      sys::futex_wake_one",
     "== " + mistake("lock: nobody is woken", "kHeld + 7", "kContended")
     + ") {\n      sys::futex_wake_one"),
    ("ds/lock.h", "word_.exchange(kContended, ",
     "word_.exchange(" + mistake("lock: taken as if nobody waits", "kHeld", "kContended") + ", "),

    ("api/pace.h", "    return now >= next && next_",
     "    if (::checker::mutated(\"pace: begun without an exchange\")) {\n"
     "      if (now >= next) next_.store(UINT64_MAX, std::memory_order_relaxed);\n"
     "      return now >= next;\n    }\n    return now >= next && next_"),

    # The gate and the fences.
    ("heap/cache_drain.h", "    cache_.gate.store(layout::kGateShut, ",
     "    if (!::checker::mutated(\"drain: the gate stays open\"))\n"
     "    cache_.gate.store(layout::kGateShut, "),
    ("heap/cache_drain.h", "const bool alone = sys::fence_all_threads() && ",
     "const bool alone = " + mistake("drain: no barrier behind the gate", "true",
                                    "sys::fence_all_threads()") + " && "),
    ("heap/cache_drain.h", "!base::published_load(cache_.busy)",
     mistake("drain: busy is not looked at", "true", "!base::published_load(cache_.busy)")),
    ("heap/cache_drain.h", "        sys::fence_all_threads();\n        close_heads();",
     "        if (!::checker::mutated(\"drain: no barrier behind the fences\"))\n"
     "          sys::fence_all_threads();\n        close_heads();"),
    ("heap/cache_drain.h", "        sys::fence_all_threads();\n        take_back_passed();",
     "        if (!::checker::mutated(\"drain: no barrier behind the heads\"))\n"
     "          sys::fence_all_threads();\n        take_back_passed();"),
    ("heap/cache_drain.h", "      if (!closed) take_back(stack);",
     "      if (!closed && !::checker::mutated(\"drain: the head is not looked at\")) "
     "take_back(stack);"),
    ("heap/cache_drain.h", "      uintptr_t fenced = saved_[stack];",
     "      uintptr_t fenced = "
     + mistake("drain: any head is closed", "base::racy_load(cache_.head[stack])", "saved_[stack]")
     + ";"),
    ("heap/cache_drain.h", "        sys::fence_all_threads();\n        collect();",
     "        if (!::checker::mutated(\"drain: no barrier between top and slot\"))\n"
     "          sys::fence_all_threads();\n        collect();"),
    ("heap/cache_drain.h", "base::racy_load(cache_.top[stack]) < fence",
     mistake("drain: top is not looked at again", "false",
             "base::racy_load(cache_.top[stack]) < fence")),
    ("heap/cache_drain.h", "std::atomic_ref(*fence).load(std::memory_order_relaxed) != 0",
     mistake("drain: the fence is not looked at again", "false",
             "std::atomic_ref(*fence).load(std::memory_order_relaxed) != 0")),
    ("heap/cache_drain.h", "    std::atomic_ref(*fences_[stack])\n",
     "    if (::checker::mutated(\"drain: a block of the thread is overwritten\")) {\n"
     "      *fences_[stack] = saved_[stack];\n      fences_[stack] = nullptr;\n      return;\n    }\n"
     "    std::atomic_ref(*fences_[stack])\n"),
    ("heap/cache_drain.h", "cache_.gate.exchange(layout::kGateOpen, std::memory_order_release) ==",
     "cache_.gate.exchange(layout::kGateOpen, std::memory_order_release) ==\n        "
     "(::checker::mutated(\"drain: nobody is woken\") ? 7 : 0) +"),
    ("heap/cache_drain.h", "      base::racy_store(cache_.gone[stack], "
     "static_cast<uint16_t>(fence - bottom));",
     "      if (!::checker::mutated(\"drain: gone is not told\"))\n"
     "        base::racy_store(cache_.gone[stack], static_cast<uint16_t>(fence - bottom));"),
    ("heap/cache_use.h", "    base::racy_store(cache->busy, true);\n",
     "    if (!::checker::mutated(\"use: not busy\")) base::racy_store(cache->busy, true);\n"),
    ("heap/cache_use.h",
     "if (TIDE_UNLIKELY(cache->gate.load(std::memory_order_acquire) != layout::kGateOpen)) {",
     "if (!::checker::mutated(\"use: does not wait\") &&\n"
     "        cache->gate.load(std::memory_order_acquire) != layout::kGateOpen) {"),
    ("heap/cache_use.h", "if (TIDE_UNLIKELY(cache->has_gone)) close_gaps(*cache);",
     "if (!::checker::mutated(\"use: gaps stay\") && cache->has_gone) close_gaps(*cache);"),
    ("heap/cache_use.h", "      sys::finish_fork();  // whoever shut it",
     "      if (::checker::mutated(\"use: waits while busy\")) base::racy_store(cache.busy, true);\n"
     "      sys::finish_fork();  // whoever shut it"),
    ("heap/cache_use.h", "if (shut != layout::kGateOpen) sys::futex_wait(&cache.gate, "
     "layout::kGateAwaited);",
     "if (shut != layout::kGateOpen) sys::futex_wait(&cache.gate, "
     + mistake("use: waits for the wrong word", "layout::kGateShut", "layout::kGateAwaited")
     + ");"),

    ("heap/fast_path.h", "  sys::move_in_memory<-1>(front.top, stack);\n",
     "  uintptr_t early = 0;\n"
     "  if (::checker::mutated(\"malloc: the head is read before top is stored\"))\n"
     "    early = base::stale_load(front.head[stack]);\n"
     "  if (::checker::mutated(\"malloc: the next slot is read before top is stored\"))\n"
     "    early = base::racy_load(top[-1]);\n"
     "  sys::move_in_memory<-1>(front.top, stack);\n"),
    ("heap/fast_path.h", "  const uintptr_t block = base::stale_load(front.head[stack]);\n",
     "  const uintptr_t block = "
     + mistake("malloc: the head is read before top is stored", "early",
               "base::stale_load(front.head[stack])") + ";\n"),
    ("heap/fast_path.h", "base::racy_load(top[-1]));\n  if",
     mistake("malloc: the next slot is read before top is stored", "early",
             "base::racy_load(top[-1])") + ");\n  if"),
    ("heap/fast_path.h", "  base::racy_store(top[1], base::address_of(block));\n",
     "  if (::checker::mutated(\"free: top is stored before the slot\")) {\n"
     "    sys::move_in_memory<1>(front.top, stack);\n"
     "    base::racy_store(top[1], base::address_of(block));\n"
     "    base::stale_store(front.head[stack], base::address_of(block));\n"
     "    return;\n  }\n"
     "  base::racy_store(top[1], base::address_of(block));\n"),
    ("heap/fast_path.h", "TIDE_INLINE bool release_as(uint8_t* states,",
     "TIDE_INLINE bool release_as(::checker::Racy<uint8_t>* states,"),
    ("heap/fast_path.h", "  uint8_t* const states = zone.states();",
     "  ::checker::Racy<uint8_t>* const states = zone.states();"),

    # The race of mremap: another thread may get the old address at once.
    ("heap/huge_blocks.h", "    erase(*entry);\n    void* const result = "
     "vm.remap(p, moved.bytes, rounded);",
     "    const bool late = ::checker::mutated(\"huge: known while it moves\");\n"
     "    const bool open = ::checker::mutated(\"huge: moved without the lock\");\n"
     "    if (!late && !open) erase(*entry);\n"
     "    if (open) lock_.unlock();\n"
     "    void* const result = vm.remap(p, moved.bytes, rounded);\n"
     "    if (open) lock_.lock();\n"
     "    if (late || open) erase(*entry);"),
    ("heap/huge_blocks.h", "        kept_.has_gone(*slot);\n      }\n"
     "      if (!purger.vm.unmap(",
     "        if (!::checker::mutated(\"huge: kept while it is unmapped\"))\n"
     "          kept_.has_gone(*slot);\n      }\n"
     "      if (!purger.vm.unmap("),
    ("heap/kept_mappings.h", "if (piece.address == 0 || piece.going || piece.bytes < bytes) continue;",
     "if (piece.address == 0 || piece.bytes < bytes ||\n"
     "    (piece.going && !::checker::mutated(\"huge: taken while it goes\"))) continue;"),
]
