"""The command `heap` for GDB: every block of the process or core that is being debugged.

    (gdb) source tide-heap.py
    (gdb) heap
    (gdb) heap info 0x7f2d00012340

Nothing about heaps is known here. The command `tide heap` does the work, as a child: a core it
opens itself, and of a process it asks for bytes, which GDB reads, so that this works wherever GDB
does. What is said on the two pipes stands in docs/design/07-gdb.md.

All names begin with tide: GDB's scripts share one namespace.
"""

import os
import re
import selectors
import shlex
import shutil
import signal
import struct
import subprocess
import tempfile

import gdb

TIDE_QUESTIONS = ("stats", "list", "info", "dump", "analyze", "examine", "types", "refs", "path",
                  "leaks", "retained", "frag", "check", "diff", "doctor", "threads", "where")
TIDE_ABOUT_ADDRESSES = ("info", "where", "refs", "path", "retained")

# Registers in the order of the kernel's user_regs_struct.
TIDE_REGISTERS = {
    "i386:x86-64": "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs "
                   "eflags rsp ss fs_base gs_base ds es fs gs".split(),
    "aarch64": [f"x{i}" for i in range(31)] + ["sp", "pc", "cpsr"],
}
TIDE_WORD = (1 << 64) - 1
TIDE_ASKED = struct.Struct("=QQ")  # address, bytes
TIDE_ANSWERED = struct.Struct("=Q")  # bytes that follow
TIDE_PAGE = 4096
TIDE_PIPE_BYTES = 1 << 20


class TideCommand(gdb.Parameter):
    """The `tide` command that `heap` runs."""

    set_doc = "Set the `tide` command that `heap` runs; empty: $TIDE_COMMAND, else tide."
    show_doc = "Show the `tide` command that `heap` runs."

    def __init__(self):
        super().__init__("tide-command", gdb.COMMAND_FILES, gdb.PARAM_STRING_NOESCAPE)
        self.value = ""

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return f"The command is '{self.name()}'."

    def name(self):
        return os.path.expanduser(self.value or os.environ.get("TIDE_COMMAND") or "tide")

    def path(self):
        found = shutil.which(self.name())
        if found is None:
            raise gdb.GdbError(f"heap: there is no command '{self.name()}'; name one: "
                               "set tide-command /path/to/tide")
        return found


def tide_core_path(inferior):
    """The file of the core that is being debugged, or None: it is no core."""
    connection = getattr(inferior, "connection", None)
    if connection is not None and connection.type != "core":
        return None
    corefile = getattr(inferior, "corefile", None)
    if corefile is not None:
        return corefile.filename
    text = gdb.execute("info files", to_string=True)
    found = re.search(r"^Local core dump file:\s+`(.*)', file type ", text, re.M)
    if connection is not None and found is None:
        raise gdb.GdbError("heap: GDB does not say where the core file is")
    return found and found.group(1)


def tide_is_remote(inferior):
    connection = getattr(inferior, "connection", None)
    return connection is not None and connection.type.endswith("remote")


def tide_maps_of(inferior):
    """What the system says is mapped where: /proc/PID/maps of the machine that it runs on."""
    name = f"/proc/{inferior.pid}/maps"
    if not tide_is_remote(inferior):
        try:
            with open(name, "rb") as maps:
                return maps.read()
        except OSError as error:
            raise gdb.GdbError(f"heap: {name}: {error.strerror}") from None
    with tempfile.NamedTemporaryFile() as copy:
        try:
            gdb.execute(f"remote get {name} {copy.name}", to_string=True)
        except gdb.error as error:
            raise gdb.GdbError(f"heap: the other side does not give {name}: {error}") from None
        return copy.read()


def tide_registers_of(thread):
    if thread.is_running():
        return []
    thread.switch()
    frame = gdb.newest_frame()
    names = TIDE_REGISTERS.get(frame.architecture().name(), [])
    return [int(frame.read_register(name)) & TIDE_WORD for name in names]


def tide_all_registers(inferior):
    """(thread, its registers), the selected thread and frame being the same afterwards."""
    selected = gdb.selected_thread()
    frame = None
    try:
        frame = gdb.selected_frame()
    except gdb.error:
        pass  # it runs
    try:
        return [(thread, tide_registers_of(thread)) for thread in reversed(inferior.threads())]
    finally:
        if selected is not None:
            selected.switch()
        if frame is not None:
            frame.select()


def tide_head_of(inferior):
    """All that the child gets before it asks for memory."""
    maps = tide_maps_of(inferior)
    lines = ["tide-reader 2", f"name process {inferior.pid}"]
    if not tide_is_remote(inferior):
        lines.append(f"process {inferior.pid}")
    program = gdb.current_progspace().filename
    if program:
        lines.append(f"program {program}")
    for thread, registers in tide_all_registers(inferior):
        values = "".join(f"{value:x} " for value in registers)
        number = thread.ptid[1] or thread.ptid[0]
        lines.append(f"thread {number} {len(registers)} {values}{thread.name or ''}")
    lines.append(f"maps {len(maps)}\n")
    return "\n".join(lines).encode(errors="replace") + maps


def tide_read_some(inferior, address, size):
    """As many of the bytes as can be read, from the first on."""
    while size > 0:
        try:
            return inferior.read_memory(address, size)
        except gdb.MemoryError:
            end = (address + size // 2) // TIDE_PAGE * TIDE_PAGE  # half as far
            size = end - address
        except (gdb.error, OverflowError):
            break
    return b""


def tide_write_all(descriptor, data):
    data = memoryview(data).cast("B") if len(data) else b""
    while len(data):
        data = data[os.write(descriptor, data):]


def tide_widen(descriptor):
    try:
        import fcntl
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, TIDE_PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        pass  # slower, no more


class TideChild:
    """`tide heap`, its output, and its questions if it has a pipe for them."""

    def __init__(self, arguments, output, inferior=None):
        self.inferior = inferior
        self.questions = self.answers = -1
        theirs = ()
        if inferior is not None:
            their_answers, self.answers = os.pipe()
            self.questions, their_questions = os.pipe()
            tide_widen(self.answers)
            theirs = (their_answers, their_questions)
            arguments = [*arguments, "--reader", "{},{}".format(*theirs)]
        try:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                            stdout=output or subprocess.PIPE,
                                            stderr=subprocess.PIPE, pass_fds=theirs)
        except OSError as error:
            self.close()
            raise gdb.GdbError(f"heap: {arguments[0]}: {error.strerror}") from None
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def close(self):
        for descriptor in (self.questions, self.answers):
            if descriptor >= 0:
                os.close(descriptor)
        self.questions = self.answers = -1

    def send_head(self, head):
        try:
            tide_write_all(self.answers, head)
        except BrokenPipeError:
            pass  # it has said why on its standard error

    def answer(self):
        """One question. False: there will be none any more."""
        question = b""
        while len(question) < TIDE_ASKED.size:
            part = os.read(self.questions, TIDE_ASKED.size - len(question))
            if not part:
                return False
            question += part
        data = tide_read_some(self.inferior, *TIDE_ASKED.unpack(question))
        try:
            tide_write_all(self.answers, TIDE_ANSWERED.pack(len(data)))
            tide_write_all(self.answers, data)
        except BrokenPipeError:
            return False
        return True

    def serve(self):
        """Until it ends. Returns what it wrote to standard error."""
        errors = []

        def take_output():
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            gdb.write(data.decode(errors="replace"))
            return bool(data)

        def take_error():
            errors.append(os.read(self.process.stderr.fileno(), 1 << 16))
            return bool(errors[-1])

        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stderr, selectors.EVENT_READ, take_error)
            if self.process.stdout is not None:
                selector.register(self.process.stdout, selectors.EVENT_READ, take_output)
            if self.questions >= 0:
                selector.register(self.questions, selectors.EVENT_READ, self.answer)
            while selector.get_map():
                for key, _ in selector.select():
                    if not key.data():
                        selector.unregister(key.fileobj)
        return b"".join(errors).decode(errors="replace").rstrip()

    def end(self):
        self.close()
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return status


def tide_split(text):
    """The words of a command line, and the file behind `>`, or None."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise gdb.GdbError(f"heap: {error}") from None
    for i, word in enumerate(words):
        if word.startswith(">"):
            name = word[1:] or "".join(words[i + 1:i + 2])
            if not name or len(words) > i + (1 if word[1:] else 2):
                raise gdb.GdbError("heap: behind '>' comes one file, at the end")
            return words[:i], os.path.expanduser(name)
    return words, None


def tide_evaluate(words):
    """The same, with an expression of GDB's in the place of an address as its value."""
    if len(words) < 2 or words[0] not in TIDE_ABOUT_ADDRESSES or words[1].startswith("--"):
        return words
    try:
        int(words[1], 0)
        return words
    except ValueError:
        pass
    try:
        value = gdb.parse_and_eval(words[1])
        kind = value.type.strip_typedefs().code
        # Of what has no value of an address: where it is.
        if kind in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            value = value.address
        address = int(value) & (1 << 64) - 1
    except (gdb.error, TypeError, ValueError) as error:
        raise gdb.GdbError(f"heap: {words[0]}: '{words[1]}' is no address: {error}") from None
    return [words[0], hex(address), *words[2:]]


def tide_run(words, output):
    """`output`: a file, or None: GDB's own."""
    command = tide_command.path()
    inferior = gdb.selected_inferior()
    wants_help = "--help" in words or "-h" in words
    if inferior.pid == 0 and not wants_help:
        raise gdb.GdbError("heap: there is no process and no core; start the program, or use "
                           "attach, target remote or core-file")
    core = None if wants_help else tide_core_path(inferior)
    head = None
    if wants_help:
        child = TideChild([command, "heap", "--help"], output)
    elif core is None:
        head = tide_head_of(inferior)
        child = TideChild([command, "heap", *words], output, inferior)
    else:
        program = gdb.current_progspace().filename
        extra = ["--program", program] if program else []
        child = TideChild([command, "heap", core, *words, *extra], output)
    try:
        if head is not None:
            child.send_head(head)
        errors = child.serve()
    except KeyboardInterrupt:
        child.end()
        raise gdb.GdbError("heap: interrupted") from None
    except BaseException:
        child.end()
        raise
    status = child.process.wait()
    child.end()
    if status == -signal.SIGINT:  # it was quicker than GDB
        raise gdb.GdbError("heap: interrupted")
    if status != 0:
        raise gdb.GdbError(errors or f"heap: {command} ended with status {status}")
    if errors:
        gdb.write(errors + "\n", gdb.STDERR)


class TideHeapCommand(gdb.Command):
    """Look at every block of the heap, on Tide or on glibc's malloc.

Usage: heap [QUESTION [ARGUMENTS]] [OPTIONS] [> FILE]

  heap                        size classes, counts, bytes; the same as heap stats
  heap list --size 64 > FILE  every live block of 64 bytes, into a file
  heap info 0x7f2d00012340    which block this address is in, its state, its neighbours
  heap leaks                  blocks that nothing points to
  heap path node->next        how the program still reaches a block; any expression of GDB's
  heap check                  every list and count of the heap compared

Questions: stats, list, info, dump, analyze, examine, types, refs, path, leaks, retained, frag,
check, diff, doctor, threads, where. They are those of the shell's command `tide heap`, and so are
the options: heap --help shows them. A process must be stopped."""

    def __init__(self):
        super().__init__("heap", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words, file = tide_split(argument)
        words = tide_evaluate(words)
        if file is None:
            tide_run(words, None)
            return
        try:
            with open(file, "wb") as output:
                tide_run(words, output)
        except OSError as error:
            raise gdb.GdbError(f"heap: {file}: {error.strerror}") from None

    def complete(self, text, word):
        if " " in text.lstrip():
            return gdb.COMPLETE_EXPRESSION
        return [name for name in TIDE_QUESTIONS if name.startswith(word)]


tide_command = TideCommand()
TideHeapCommand()
