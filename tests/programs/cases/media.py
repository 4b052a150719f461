"""Pictures, films, pages: imagemagick, ffmpeg, ghostscript, graphviz, Qt and GLib programs."""

import textwrap

from lib import generate
from lib.registry import case


@case("imagemagick", packages=["imagemagick"], programs=["convert-im6.q16"], threads=(1, 2),
      timeout=300)
def imagemagick(box):
    """imagemagick: draws, blurs, resizes and recodes with OpenMP threads"""
    env = {"OMP_NUM_THREADS": box.threads, "MAGICK_THREAD_LIMIT": box.threads}
    output = ""
    for number, effect in enumerate((["-blur", "0x4"], ["-swirl", "120"], ["-resize", "37%"],
                                     ["-rotate", "33"], ["-colors", "24"], ["-morphology",
                                                                            "Dilate", "Disk:3"])):
        box.run(["convert-im6.q16", "-size", "400x300", "plasma:red-blue", "-seed", "1",
                 "-size", "400x300", "gradient:yellow-green", "-delete", "0", *effect,
                 "-depth", "8", f"step{number}.png"], env=env)
        box.run(["convert-im6.q16", f"step{number}.png", "-quality", "80", "step.jpg"], env=env)
        output += box.text(["convert-im6.q16", f"step{number}.png", "step.jpg", "-format",
                            "%w %h %#\n", "info:"], env=env)
    return output


@case("ffmpeg", packages=["ffmpeg"], programs=["ffmpeg"], threads=(1, 4), timeout=300)
def ffmpeg(box):
    """ffmpeg: encodes and decodes test pictures and sound, checksums of each frame"""
    quiet = ["-hide_banner", "-nostdin", "-loglevel", "error", "-threads", box.threads,
             "-filter_threads", box.threads]
    source = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=3", "-f", "lavfi",
              "-i", "sine=frequency=440:duration=3"]
    output = ""
    for video, audio, name in (("libx264", "aac", "a.mp4"), ("ffv1", "flac", "b.mkv"),
                               ("mpeg4", "libmp3lame", "c.avi")):
        box.run(["ffmpeg", *quiet, *source, "-map", "0:v", "-map", "1:a", "-c:v", video,
                 "-threads", box.threads, "-preset", "fast", "-c:a", audio, "-fflags",
                 "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", name])
        output += box.text(["ffmpeg", *quiet, "-i", name, "-vf",
                            "scale=320:180,hflip,unsharp", "-f", "framemd5", "-"])
    return output


_PAGE = r"""%!
/Helvetica findfont 20 scalefont setfont
1 1 6 { /page exch def
  1 1 60 { /i exch def
    gsave i 9 mul 30 add page i mul 13 mul 700 mod translate i 7 mul rotate
    i 60 div page 6 div 0.4 setrgbcolor 0 0 moveto (row ) show i 10 string cvs show
    newpath 0 0 i 0 360 arc closepath stroke grestore } for
  /dict 500 dict def 0 1 499 { dict exch dup 100 string cvs put } for
  showpage } for
"""


@case("ghostscript", packages=["ghostscript"], programs=["gs"])
def ghostscript(box):
    """ghostscript: pages to PDF and back to pictures with rendering threads"""
    box.write("page.ps", _PAGE)
    box.run(["gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", "-o", "page.pdf",
             "page.ps"])
    box.run(["gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=ppmraw", "-r100",
             "-dNumRenderingThreads=2", "-dBandBufferSpace=500000", "-dMaxBitmap=0", "-o",
             "page%d.ppm", "page.pdf"])
    return "".join(f"{box.digest(f'page{number}.ppm')}\n" for number in range(1, 7))


@case("graphviz", packages=["graphviz"], programs=["dot", "neato"], must_load=["dot"])
def graphviz(box):
    """graphviz: lays out a graph in three ways"""
    words = generate.words(6, 400)
    edges = "".join(f"  {a} -> {b};\n" for a, b in zip(words[:150], words[100:250]))
    box.write("graph.dot", "digraph g {\n" + edges + "}\n")
    return box.text(["dot", "-Tplain", "graph.dot"]) + \
        box.text(["neato", "-Tplain", "graph.dot"]) + box.text(["dot", "-Tsvg", "graph.dot"])


_QT = """
    import sys, hashlib
    from PyQt5.QtCore import QCoreApplication, QThread, QTimer, QByteArray, QJsonDocument, Qt
    from PyQt5.QtGui import QGuiApplication, QImage, QPainter, QTextDocument, QColor, QPainterPath
    from PyQt5.QtWidgets import QApplication, QTreeWidget, QTreeWidgetItem, QPushButton
    app = QApplication(sys.argv)
    results = {}
    class Worker(QThread):
        def __init__(self, seed): super().__init__(); self.seed = seed
        def run(self):
            image = QImage(300, 200, QImage.Format_ARGB32); image.fill(QColor(1, 2, self.seed))
            painter = QPainter(image)
            for i in range(300):
                path = QPainterPath(); path.moveTo(i, self.seed * 3)
                path.cubicTo(i * 2 % 300, 10, 50, i % 200, 299 - i % 299, 150)
                painter.setPen(QColor.fromHsv(i % 360, 200, 200)); painter.drawPath(path)
            painter.end()
            bits = image.bits(); bits.setsize(image.sizeInBytes())
            results[self.seed] = hashlib.sha256(bytes(bits)).hexdigest()
    workers = [Worker(seed) for seed in range(12)]
    count = int(sys.argv[1])
    for start in range(0, 12, count):
        for worker in workers[start:start + count]: worker.start()
        for worker in workers[start:start + count]: worker.wait()
    tree = QTreeWidget(); tree.setColumnCount(2)
    for i in range(300):
        item = QTreeWidgetItem(tree, [f"row {i}", "x" * i])
        for j in range(10): QTreeWidgetItem(item, [str(j), str(i * j)])
    tree.sortItems(1, Qt.DescendingOrder); tree.resize(400, 300); tree.show()
    document = QTextDocument(); document.setHtml("".join(f"<p><b>{i}</b> text {i * i}</p>" for i in range(400)))
    image = tree.grab().toImage()
    print(sorted(results.items()), len(document.toPlainText()), image.width(), tree.topLevelItem(3).text(0))
    QTimer.singleShot(50, app.quit)
    app.exec_()
    print("end")
"""

_GLIB = """
    import sys, threading, hashlib
    from gi.repository import GLib, Gio
    loop = GLib.MainLoop()
    results = {}
    def copied(file, task, name):
        file.copy_finish(task)
        results[name] = hashlib.sha256(open(name, "rb").read()).hexdigest()
        if len(results) == 30: loop.quit()
    for i in range(30):
        source = Gio.File.new_for_path(f"in{i}")
        source.replace_contents(bytes([i]) * (i * 5000), None, False, Gio.FileCreateFlags.NONE, None)
        source.copy_async(Gio.File.new_for_path(f"out{i}"), Gio.FileCopyFlags.NONE, 0, None, None, None, copied, f"out{i}")
    GLib.timeout_add_seconds(60, loop.quit)
    loop.run()
    variant = GLib.Variant("a{sv}", {f"k{i}": GLib.Variant("as", ["x" * i] * (i % 20)) for i in range(600)})
    text = variant.print_(True)
    back = GLib.Variant.parse(None, text, None, None)
    key = GLib.KeyFile()
    for i in range(2000): key.set_string(f"g{i % 40}", f"k{i}", "v" * (i % 300))
    data, size = key.to_data()
    print(sorted(results.items()), len(text), back.equal(variant), hashlib.sha256(data.encode()).hexdigest())
"""


@case("qt", packages=["python3-pyqt5"], programs=["python3"], threads=(1, 2))
def qt(box):
    """a Qt program: painting in threads, widgets, rich text, without a display"""
    found = box.run(["python3", "-c", "import PyQt5.QtWidgets"], expect=None)
    box.check(found.status == 0, "PyQt5 is not installed; run 'apt-get install python3-pyqt5'")
    return box.text(["python3", box.write("job.py", textwrap.dedent(_QT)), box.threads],
                    env={"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": box.dir,
                         "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})


@case("glib", packages=["python3-gi"], programs=["python3"], threads=(2,))
def glib(box):
    """a GLib program: main loop, asynchronous copies in worker threads, variants"""
    found = box.run(["python3", "-c", "import gi"], expect=None)
    box.check(found.status == 0, "gi is not installed; run 'apt-get install python3-gi'")
    return box.text(["python3", box.write("job.py", textwrap.dedent(_GLIB))],
                    env={"G_SLICE": "always-malloc", "PYTHONMALLOC": "malloc"})
