#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Install the library and use it as a host would: `check_install.py BUILD CORE_ONLY_BUILD`.

It is installed below DESTDIR and used from there, so that what is tried is a moved prefix too.
"""

import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from cases import Cases, expect, run  # noqa: E402

CC = os.environ.get("CC", "cc")
CXX = os.environ.get("CXX", "c++")
PREFIX = "/opt/lynse"
PROGRAM = ROOT / "examples" / "ten_lines.c"
SAYS = "id 0: 1.00\nid 2: 0.60\n"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SYSTEM = r"^(libc|libm|libpthread|ld-linux-[a-z0-9-]*)\.so"


class Stage:
    """One installation below a DESTDIR of its own."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        self.prefix = folder / "stage" / PREFIX[1:]
        self.lib = self.prefix / "lib"

    def install(self):
        env = {**os.environ, "DESTDIR": str(self.folder / "stage")}
        run("cmake", "--install", self.build, "--prefix", PREFIX, env=env)

    def files(self):
        stage = self.folder / "stage"
        return {str(f.relative_to(stage)) for f in stage.rglob("*") if not f.is_dir()}

    def pkg_config(self, *arguments, name="lynse"):
        folder = str(self.lib / "pkgconfig")
        before = os.environ.get("PKG_CONFIG_PATH")
        path = f"{folder}:{before}" if before else folder
        env = {**os.environ, "PKG_CONFIG_PATH": path}
        return run("pkg-config", *arguments, name, env=env).split()

    def compile(self, name, flags, source=PROGRAM, compiler=CC, standard="-std=c11"):
        program = self.folder / name
        run(compiler, standard, *WARNINGS, source, *flags, "-o", program)
        return program

    def run(self, program):
        env = {**os.environ, "LD_LIBRARY_PATH": str(self.lib)}
        with tempfile.TemporaryDirectory() as folder:
            return run(program, cwd=folder, env=env)


def needed(program):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program))


def expect_needs(program, *libraries):
    """The program needs these shared libraries, and of the others the system's alone."""
    others = [name for name in needed(program) if not re.match(SYSTEM, name)]
    expect(others == list(libraries), f"{program.name} needs {others}, not {list(libraries)}")


def expect_says(stage, program):
    said = stage.run(program)
    expect(said == SAYS, f"{program.name} said {said!r}, not {SAYS!r}")


def what_is_installed(cases, stage):
    with cases.case("the libraries, their headers and their packages are installed, and no more"):
        stage.install()
        base = PREFIX[1:]
        version = stage.pkg_config("--modversion")[0]
        expected = {
            f"{base}/include/lynse.h",
            f"{base}/include/lynse_errors.h",
            f"{base}/include/lynse_kinds.h",
            f"{base}/include/lynse_lua.h",
            *(
                f"{base}/lib/lib{name}.{ending}"
                for name in ("lynse", "lynse-lua")
                for ending in ("a", "so", "so.0", f"so.{version}")
            ),
            f"{base}/lib/pkgconfig/lynse.pc",
            f"{base}/lib/pkgconfig/lynse-lua.pc",
            f"{base}/lib/cmake/lynse/lynse-config.cmake",
            f"{base}/lib/cmake/lynse/lynse-config-version.cmake",
        }
        found = stage.files()
        expect(found == expected, f"installed {sorted(found)}, not {sorted(expected)}")
    with cases.case("nothing installed names the folder that it was built in"):
        for file in stage.prefix.rglob("*"):
            if file.suffix in (".pc", ".cmake", ".h"):
                text = file.read_text()
                expect(str(ROOT) not in text and str(stage.build) not in text, file)
    with cases.case("the name of the shared library is that of its ABI"):
        said = run("readelf", "-d", stage.lib / "liblynse.so")
        expect("[liblynse.so.0]" in said, said)


def by_pkg_config(cases, stage):
    with cases.case("pkg-config, shared"):
        program = stage.compile("pc-shared", stage.pkg_config("--cflags", "--libs"))
        expect_needs(program, "liblynse.so.0")
        expect_says(stage, program)
    with cases.case("pkg-config, static through and through"):
        flags = stage.pkg_config("--static", "--cflags", "--libs")
        program = stage.compile("pc-static", ["-static", *flags])
        expect(needed(program) == [], f"needs {needed(program)}")
        expect_says(stage, program)
    with cases.case("the archive alone, the rest shared"):
        flags = stage.pkg_config("--static", "--cflags", "--libs")
        flags = [str(stage.lib / "liblynse.a") if f == "-llynse" else f for f in flags]
        program = stage.compile("archive", flags)
        expect_needs(program, "libzstd.so.1")
        expect_says(stage, program)


def by_cmake(cases, stage):
    with cases.case("find_package, both targets"):
        build = stage.folder / "found"
        run("cmake", "-S", HERE / "consumer", "-B", build, "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_PREFIX_PATH={stage.prefix}", f"-DPROGRAM={PROGRAM}")
        run("cmake", "--build", build)
        expect_needs(build / "with_lynse", "liblynse.so.0")
        expect_needs(build / "with_static", "libzstd.so.1")
        for kind in ("lynse", "static"):
            expect_says(stage, build / f"with_{kind}")
    with cases.case("find_package refuses another minor version"):
        try:
            run("cmake", "-S", HERE / "consumer", "-B", stage.folder / "refused",
                f"-DCMAKE_PREFIX_PATH={stage.prefix}", f"-DPROGRAM={PROGRAM}", "-DWANTED=0.0")
            found = True
        except AssertionError as error:
            found = "considered but not accepted" not in str(error)
        expect(not found, "took 0.1 for 0.0")
    with cases.case("add_subdirectory gives the same targets, installs nothing, builds no test"):
        build = stage.folder / "below"
        run("cmake", "-S", HERE / "consumer", "-B", build, "-DCMAKE_BUILD_TYPE=Release",
            f"-DLYNSE_SOURCE={ROOT}", f"-DPROGRAM={PROGRAM}")
        expect(not (build / "lynse" / "tests").exists(), "tests are configured")
        expect(not (build / "lynse" / "package").exists(), "a package is made")
    with cases.case("add_subdirectory builds with Makefiles too"):
        build = stage.folder / "made"
        run("cmake", "-S", HERE / "consumer", "-B", build, "-G", "Unix Makefiles",
            "-DCMAKE_BUILD_TYPE=Debug", f"-DLYNSE_SOURCE={ROOT}", f"-DPROGRAM={PROGRAM}")
        jobs = os.environ.get("LYNSE_JOBS") or str(os.cpu_count())
        run("cmake", "--build", build, "--parallel", jobs)
        expect_needs(build / "with_static", "libzstd.so.1")
        for kind in ("lynse", "static"):
            expect_says(stage, build / f"with_{kind}")


def with_lua(cases, stage):
    flags = stage.pkg_config("--cflags", "--libs", name="lynse-lua")
    with cases.case("hooks in Lua, shared"):
        program = stage.compile("scored", flags, HERE / "scored.c")
        said = stage.run(program)
        expect(said == "id 2: -1.00\n", f"said {said!r}")
    with cases.case("hooks in Lua, the two archives"):
        archives = {"-llynse-lua": "liblynse-lua.a", "-llynse": "liblynse.a"}
        flags = [str(stage.lib / archives[f]) if f in archives else f for f in flags]
        lua = run("pkg-config", "--libs", "luajit").split()
        rest = stage.pkg_config("--static", "--libs")
        flags += [*lua, *(f for f in rest if f != "-llynse")]
        program = stage.compile("scored-archives", flags, HERE / "scored.c")
        others = [name for name in needed(program) if not re.match(SYSTEM, name)]
        expect(not any(name.startswith("liblynse") for name in others), others)
        expect(stage.run(program) == said, stage.run(program))


def by_other_languages(cases, stage):
    flags = stage.pkg_config("--cflags", "--libs")
    version = stage.pkg_config("--modversion")[0]
    for name, compiler, standards in (
        ("caller_c89.c", CC, ("c89", "c99", "c17")),
        ("caller_cpp.cpp", CXX, ("c++98", "c++11", "c++20")),
    ):
        for standard in standards:
            with cases.case(f"lynse.h as {standard}"):
                program = stage.compile(standard, flags, HERE / name, compiler, f"-std={standard}")
                said = stage.run(program)
                expect(said == version + "\n", f"said {said!r}, not the version {version}")


def without_zstd(cases, stage):
    with cases.case("core-only: no zstd in the library, nor in what a host is told to link"):
        stage.install()
        expect_needs(stage.lib / "liblynse.so")
        flags = stage.pkg_config("--static", "--cflags", "--libs")
        expect("-lzstd" not in flags, flags)
        program = stage.compile("core-only", ["-static", *flags])
        expect_says(stage, program)
        config = (stage.lib / "cmake" / "lynse" / "lynse-config.cmake").read_text()
        expect("zstd" not in config, config)


def main():
    cases = Cases()
    builds = [pathlib.Path(argument).resolve() for argument in sys.argv[1:3]]
    with tempfile.TemporaryDirectory() as folder:
        stages = []
        for build in builds:
            stages.append(Stage(build, pathlib.Path(folder) / build.name))
            stages[-1].folder.mkdir()
        what_is_installed(cases, stages[0])
        by_pkg_config(cases, stages[0])
        by_cmake(cases, stages[0])
        with_lua(cases, stages[0])
        by_other_languages(cases, stages[0])
        without_zstd(cases, stages[1])
    with cases.case("nothing was installed outside DESTDIR"):
        expect(not pathlib.Path(PREFIX).exists(), PREFIX)
    cases.finish()


main()
