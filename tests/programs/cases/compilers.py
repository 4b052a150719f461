"""The compilers on a large translation unit: the object must be the same to the byte."""

from lib import generate
from lib.registry import case

_COMMON = ["-std=c++17", "-g", "-c", "-frandom-seed=1"]


def _compile_and_run(box, compiler, options):
    for part in range(box.threads):
        box.write(f"unit{part}.cc", generate.cpp_unit(part + 1, 9))
    running = [box.start([compiler, *_COMMON, *options, f"unit{part}.cc", "-o",
                          f"unit{part}.o"]) for part in range(box.threads)]
    for program in running:
        program.wait()
    output = ""
    for part in range(box.threads):
        box.run([compiler, f"unit{part}.o", "-o", f"unit{part}"])
        output += f"{box.digest(f'unit{part}.o')} {box.digest(f'unit{part}')}\n"
        output += box.text([f"{box.dir}/unit{part}"])
    return output


@case("gcc", group="dev", packages=["g++"], programs=["g++", "as", "ld"],
      must_load=["cc1plus", "as", "g++"])
def gcc(box):
    """g++ -O1 -g on a large translation unit, assembled, linked and run"""
    return _compile_and_run(box, "g++", ["-O1"])


@case("gcc-lto", group="dev", packages=["g++"], programs=["g++", "as", "ld"], threads=(2,),
      must_load=["cc1plus", "lto1"])
def gcc_lto(box):
    """g++ -flto=2: compiler, link-time optimiser and linker plugin"""
    box.write("unit.cc", generate.cpp_unit(3, 4))
    box.run(["g++", "-std=c++17", "-O1", f"-flto={box.threads}", "-frandom-seed=1", "unit.cc",
             "-o", "unit"])
    return box.text([f"{box.dir}/unit"]) + box.digest("unit")


@case("clang", group="dev", packages=["clang"], programs=["clang++"], must_load=["clang"])
def clang(box):
    """clang++ -O1 -g on a large translation unit, linked and run"""
    return _compile_and_run(box, "clang++", ["-O1", "-Wno-everything"])


@case("cmake", group="dev", packages=["cmake", "ninja-build", "gcc"],
      programs=["cmake", "ninja", "gcc"], threads=(2,), must_load=["cmake"])
def cmake(box):
    """cmake configures a small project, ninja -j2 builds it, the result runs"""
    names = [f"part{number}" for number in range(12)]
    for number, name in enumerate(names):
        box.write(f"source/{name}.c", f"int {name}(int x) {{ return x * {number + 3} + 1; }}\n")
    calls = "".join(f"  sum = {name}(sum) % 100003;\n" for name in names)
    protos = "".join(f"int {name}(int);\n" for name in names)
    box.write("source/main.c", f"#include <stdio.h>\n{protos}int main(void) {{\n  int sum = 1;\n"
                               f"{calls}  printf(\"%d\\n\", sum);\n  return 0;\n}}\n")
    box.write("source/CMakeLists.txt",
              "cmake_minimum_required(VERSION 3.20)\nproject(parts C)\n"
              f"foreach(name {' '.join(names)})\n  add_library(${{name}} STATIC ${{name}}.c)\n"
              "endforeach()\nadd_executable(parts main.c)\n"
              f"target_link_libraries(parts {' '.join(names)})\n")
    box.run(["cmake", "-G", "Ninja", "-S", "source", "-B", "out", "-DCMAKE_C_COMPILER=gcc"])
    box.run(["ninja", "-C", "out", f"-j{box.threads}"])
    return box.text([f"{box.dir}/out/parts"])
