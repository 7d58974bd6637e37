# A node without a screen: Twinset with Blender 4.5 as a Python module, on the CPU or an NVIDIA GPU.
#
#   docker build -t twinset .
#   docker run --rm --shm-size 1g -v "$PWD:/work" twinset twinset render /work/recipe.toml -o /work/out
FROM python:3.11-slim-bookworm

# The NVIDIA runtime hands the driver in where it is asked for; without it, Cycles renders on the CPU.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility PYTHONUNBUFFERED=1

COPY . /tmp/twinset
RUN /tmp/twinset/.ci/system \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir /tmp/twinset \
    && rm -rf /tmp/twinset

RUN useradd --create-home twinset
USER twinset
WORKDIR /work
CMD ["twinset", "doctor"]
