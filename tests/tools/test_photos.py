"""Photographs as people have them: upright and RGB, or refused with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from prompts.errors import InputError
from tools.photos import is_heic, photo, pictures_in

HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)
TWO = Image.fromarray(np.array([[[200, 20, 20], [20, 20, 200]]], dtype=np.uint8)).resize(
    (64, 32), Image.Resampling.NEAREST
)


def test_a_photo_stands_upright_by_its_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: shown, the left side is on top
    TWO.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    found = photo(tmp_path / "phone.jpg")
    assert found.size == (32, 64) and found.mode == "RGB"
    assert found.getpixel((16, 5))[0] > 150 and found.getpixel((16, 60))[2] > 150  # type: ignore[index]


def test_transparency_is_laid_on_white_in_every_mode_that_has_it(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30])
    for name, image, more in (
        ("rgba", clear, {}), ("la", clear.convert("LA"), {}), ("p", palette, {"transparency": 0}),
    ):  # fmt: skip
        image.save(tmp_path / f"{name}.png", **more)
        assert photo(tmp_path / f"{name}.png").getpixel((3, 3)) == (255, 255, 255), name


def test_sixteen_bits_are_brought_to_eight_and_not_cut_off(tmp_path: Path) -> None:
    ramp = np.array([[0, 257 * 100, 65_535]], dtype=np.uint16)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    Image.fromarray(ramp).save(tmp_path / "grey.tif")
    Image.fromarray((ramp / 65_535).astype(np.float32)).save(tmp_path / "share.tif")
    for name in ("grey.png", "grey.tif", "share.tif"):
        assert [photo(tmp_path / name).getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (100,) * 3, (255,) * 3]
    Image.fromarray(np.array([[-5.0, 1e9]], dtype=np.float32)).save(tmp_path / "height.tif")
    with pytest.raises(InputError, match=r"height.tif' cannot be read \(mode F with values from -5"):
        photo(tmp_path / "height.tif")


def test_cmyk_and_palettes_become_rgb(tmp_path: Path) -> None:
    TWO.convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    TWO.quantize(4).save(tmp_path / "few.png")
    for name in ("print.jpg", "few.png"):
        found = photo(tmp_path / name)
        assert found.mode == "RGB" and found.getpixel((5, 5))[0] > 150, name  # type: ignore[index]


def test_a_picture_that_moves_is_refused_and_a_single_frame_is_not(tmp_path: Path) -> None:
    other = Image.new("RGB", TWO.size, "green")
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        TWO.save(tmp_path / name, save_all=True, append_images=[other])
        with pytest.raises(InputError, match=rf"{name}' has 2 frames or pages: save the one you mean"):
            photo(tmp_path / name)
    TWO.save(tmp_path / "still.gif")
    assert photo(tmp_path / "still.gif").size == TWO.size


def test_a_phones_photo_with_a_preview_behind_it_is_read(tmp_path: Path) -> None:
    TWO.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[TWO.resize((8, 4))])
    assert photo(tmp_path / "phone.jpg").size == TWO.size


def test_a_truncated_photo_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "half.jpg")
    whole = (tmp_path / "half.jpg").read_bytes()
    for kept in (len(whole) // 2, 3, 0):
        (tmp_path / "half.jpg").write_bytes(whole[:kept])
        with pytest.raises(InputError, match=r"half.jpg' cannot be read"):
            photo(tmp_path / "half.jpg")


def test_heic_is_refused_by_its_first_bytes_with_the_next_step(tmp_path: Path) -> None:
    for name in ("dog.heic", "dog.jpg"):
        (tmp_path / name).write_bytes(HEIC)
        with pytest.raises(InputError, match=rf"{name}' is HEIC.*export it as JPEG"):
            photo(tmp_path / name)
    assert not is_heic(tmp_path / "nowhere.heic")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_which_shares_heics_container_is_read(tmp_path: Path) -> None:
    TWO.save(tmp_path / "a.avif")
    assert photo(tmp_path / "a.avif").size == TWO.size and pictures_in(tmp_path) == [tmp_path / "a.avif"]


def test_no_picture_of_a_folder_is_left_out_in_silence(tmp_path: Path) -> None:
    TWO.save(tmp_path / "b.JPG", format="JPEG")
    TWO.save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert [path.name for path in pictures_in(tmp_path)] == ["a.png", "b.JPG"]
    (tmp_path / "c.HEIC").write_bytes(HEIC)
    (tmp_path / "d.jpeg").write_bytes(HEIC)
    (tmp_path / "e.NEF").write_bytes(b"raw")
    with pytest.raises(InputError, match=r"holds 3 pictures that cannot be read \(c.HEIC, d.jpeg, e.NEF\): export"):
        pictures_in(tmp_path)


def test_real_photographs_are_read(shared_data: Path) -> None:
    folder = shared_data / "dreambooth" / "dog"
    if not folder.is_dir():
        pytest.skip(f"no photographs at {folder}")
    found = [photo(path) for path in pictures_in(folder)]
    assert len(found) >= 4 and all(image.mode == "RGB" and min(image.size) >= 256 for image in found)
    assert all(np.asarray(image).std() > 20 for image in found)
