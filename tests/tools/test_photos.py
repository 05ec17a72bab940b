"""Photographs as people have them: upright and RGB, or refused with what to do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from prompts.errors import InputError
from tests.evaluators.profiles import adobe_rgb
from tools.photos import MOST_FILES, is_heic, photo, pictures_in, told_together

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


def test_no_picture_of_a_folder_is_left_out_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    TWO.save(tmp_path / "b.JPG", format="JPEG")
    TWO.save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert [path.name for path in pictures_in(tmp_path)] == ["a.png", "b.JPG"]
    assert "no pictures, left out: 1 (notes.txt)" in caplog.text and ".DS_Store" not in caplog.text
    (tmp_path / "c.HEIC").write_bytes(HEIC)
    (tmp_path / "d.jpeg").write_bytes(HEIC)
    (tmp_path / "e.NEF").write_bytes(b"raw")
    with pytest.raises(InputError, match=r"holds 3 pictures that cannot be read \(c.HEIC, d.jpeg, e.NEF\): export"):
        pictures_in(tmp_path)


@pytest.mark.parametrize(
    "name", ["a.jfif", "a.jpe", "a.mpo", "a.jp2", "a.apng", "a.dib", "a.ppm", "a", "a.jpg_large", "a.PNG~"]
)
def test_a_picture_is_found_by_any_ending_or_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    kind = {".jp2": "JPEG2000", ".mpo": "MPO", ".apng": "PNG", ".dib": "BMP", ".ppm": "PPM"}.get(
        Path(name).suffix, "JPEG"
    )
    TWO.save(tmp_path / name, format=kind)
    (found,) = pictures_in(tmp_path)
    red, _, blue = photo(found).getpixel((5, 5))  # type: ignore[misc]
    assert red > 150 > blue


def test_sub_folders_are_read_and_told_and_links_that_may_lead_in_circles_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for place in ("one", "one/two", ".hidden", "__MACOSX"):
        (tmp_path / place).mkdir()
        TWO.save(tmp_path / place / "a.png")
    (tmp_path / "one" / "back").symlink_to(tmp_path)
    with told_together():
        assert [str(path.relative_to(tmp_path)) for path in pictures_in(tmp_path)] == ["one/a.png", "one/two/a.png"]
    assert "2 of the 2 pictures" in caplog.text and "Sub-folders: 2 (one, one/two)" in caplog.text
    assert "links to folders, left out: 1" in caplog.text and len(caplog.records) == 2


def test_a_link_to_where_only_others_may_look_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TWO.save(tmp_path / "a.png")
    (tmp_path / "theirs").symlink_to(tmp_path / "a.png")
    looked = Path.is_file

    def locked(path: Path) -> bool:
        if path.name == "theirs":
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_file", locked)
    with pytest.raises(InputError, match=r"theirs' cannot be looked at .Permission denied.: check that it is yours"):
        pictures_in(tmp_path)


def test_a_folder_of_more_files_than_a_data_set_has_is_refused_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        TWO.save(tmp_path / f"{number}.png")
    monkeypatch.setenv(MOST_FILES[0], "3")
    with pytest.raises(InputError, match=r"more than 3 files: .*PALATE_MOST_FILES"):
        pictures_in(tmp_path)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
@pytest.mark.parametrize(("most", "values"), [(255, [0, 100, 255]), (65_535, [0, 257 * 100, 65_535])])
def test_numbers_of_32_bits_are_read_on_the_scale_that_they_have(
    tmp_path: Path, kind: type, most: int, values: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.array([values], dtype=kind)).save(tmp_path / "a.tif")
    assert [photo(tmp_path / "a.tif").getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (100,) * 3, (255,) * 3]
    assert f"taken as greys from 0 to {most}" in caplog.text


@pytest.mark.parametrize(("values", "most"), [([-0.02, 0.4, 1.05], 1), ([-3.0, 102.0, 259.5], 255)])
def test_real_numbers_that_go_a_little_beyond_are_cut_off_and_that_is_told(
    tmp_path: Path, values: list[float], most: int, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "a.tif")
    assert [photo(tmp_path / "a.tif").getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (102,) * 3, (255,) * 3]
    assert f"from 0 to {most}, what is beyond cut off" in caplog.text


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100, 255]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert max(photo(tmp_path / "a.png").getpixel((x, 0))[0] for x in range(3)) == 1  # type: ignore[index]


def test_text_of_megabytes_in_a_png_is_no_obstacle_and_its_limit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "node " * 500_000, zip=True)
    text.add_itxt("prompt", "ö" * 2_000_000)
    TWO.save(tmp_path / "a.png", pnginfo=text)
    assert photo(tmp_path / "a.png").size == TWO.size
    monkeypatch.setenv("PALATE_MOST_PNG_TEXT", "1000000")
    with pytest.raises(
        InputError, match="text chunks hold more than 1000000 bytes; PALATE_MOST_PNG_TEXT raises the limit"
    ):
        photo(tmp_path / "a.png")


def test_a_picture_of_200_megapixels_is_scaled_on_reading_and_stands_upright(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    TWO.resize((16_384, 12_300), Image.Resampling.NEAREST).save(tmp_path / "a.jpg", exif=exif)
    found = photo(tmp_path / "a.jpg")
    assert found.size == (6150, 8192) and "read at 1/2 of their width and height" in caplog.text
    assert found.getpixel((3000, 100))[0] > 150 and found.getpixel((3000, 8000))[2] > 150  # type: ignore[index]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_scaling_is_the_same_for_what_only_whole_pictures_can_be_decoded_of(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.photos.LARGE", 1000)
    monkeypatch.setattr("tools.photos.SHORTEST", 4)
    exif = Image.Exif()
    exif[0x0112] = 6
    TWO.save(tmp_path / name, **({} if name == "a.bmp" else {"exif": exif}))
    found = photo(tmp_path / name)
    assert found.size == ((32, 16) if name == "a.bmp" else (16, 32))
    assert found.getpixel((2, 2))[0] > 150 and found.getpixel((found.width - 2, found.height - 2))[2] > 150  # type: ignore[index]


def test_pixels_beyond_the_limit_are_refused_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TWO.save(tmp_path / "a.png")
    monkeypatch.setenv("PALATE_MOST_PIXELS", "2000")
    with pytest.raises(
        InputError, match=r"has 64 x 32 pixels, more than 2000: scale it down, or raise .* PALATE_MOST_PIXELS"
    ):
        photo(tmp_path / "a.png")
    assert Image.MAX_IMAGE_PIXELS is not None  # PIL's own limit is as it was for everybody else


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="give the path of an ordinary file"):
        photo(tmp_path / "a.png")
    with pytest.raises(InputError, match="holds no pictures"):
        pictures_in(tmp_path)


def test_a_program_in_a_file_that_is_called_a_picture_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) run\n%%EOF\n"
    )
    with pytest.raises(InputError, match=r"a.jpg' cannot be read"):
        photo(tmp_path / "a.jpg")


def test_colours_of_a_profile_are_brought_to_srgb_before_transparency_is_laid_on_white(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clear = Image.new("RGBA", (8, 8), (173, 62, 62, 255))
    clear.putpixel((0, 0), (173, 62, 62, 0))
    clear.save(tmp_path / "a.png", icc_profile=adobe_rgb())
    found = photo(tmp_path / "a.png")
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert np.abs(np.subtract(found.getpixel((4, 4)), (200, 60, 60))).max() <= 3  # type: ignore[arg-type]
    assert "in the colour space 'like Adobe RGB', converted to sRGB" in caplog.text


def test_real_photographs_are_read(shared_data: Path) -> None:
    folder = shared_data / "dreambooth" / "dog"
    if not folder.is_dir():
        pytest.skip(f"no photographs at {folder}")
    found = [photo(path) for path in pictures_in(folder)]
    assert len(found) >= 4 and all(image.mode == "RGB" and min(image.size) >= 256 for image in found)
    assert all(np.asarray(image).std() > 20 for image in found)
