"""Compiles the native kernels, which the package does without where there is no C compiler."""

from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("inference/native/src")

setup(
    ext_modules=[
        Extension(
            "inference.native._kernels",
            sources=sorted(map(str, SOURCES.glob("*.c"))),
            depends=sorted(map(str, SOURCES.glob("*.h"))),
            extra_compile_args=["-O3", "-std=gnu11", "-fno-math-errno", "-g0", "-Wno-psabi"],
            libraries=["m"],
            optional=True,
        )
    ]
)
