# SPDX-License-Identifier: GPL-3.0-or-later
"""Images with their annotations, in whatever batches formats ask for them, in one pass over the dataset."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twinset.dataset.exports.samples import batched, grouped
from twinset.dataset.store.finished_dataset import ListedDataset


class Counted(ListedDataset):
    def by_image(self):
        self.info["passes"] += 1
        return super().by_image()


@given(st.data())
def test_batches_have_the_annotations_of_their_images(data):
    ids = data.draw(st.permutations(range(1, 9)))
    images = [{"id": id, "file_name": f"{id}.png"} for id in ids]
    owners = data.draw(st.lists(st.integers(1, 8), max_size=20))
    annotations = [{"id": number, "image_id": owner} for number, owner in enumerate(owners, 1)]
    dataset = Counted(Path(), images, annotations, [], {"passes": 0})
    asked = data.draw(st.permutations(images))[: data.draw(st.integers(0, 8))]
    batches = batched(asked, data.draw(st.integers(1, 9)))
    found = list(grouped(dataset, batches))
    assert found == [
        [(image, [a for a in annotations if a["image_id"] == image["id"]]) for image in batch] for batch in batches
    ]
    assert [image for batch in batches for image in batch] == list(asked)
    assert dataset.info["passes"] == 1
