"""FFmpeg in, FFmpeg out: the only package that imports av."""

from anonymizer.media.carrying import CarryPolicy
from anonymizer.media.encoding import Encoding, EncodingChoice, plan_encoding
from anonymizer.media.image_writing import check_written, target_format, write_image
from anonymizer.media.images import StillImage, is_image, read_image
from anonymizer.media.kinds import Kind, kind_of
from anonymizer.media.naming import name_beside, name_in_folder, suffix_for, suffix_note
from anonymizer.media.pictures import picture_of
from anonymizer.media.probe import probe
from anonymizer.media.reader import VideoReader
from anonymizer.media.sources import require_unchanged, stamp_of
from anonymizer.media.writer import VideoWriter, count_packets

__all__ = [
    "CarryPolicy",
    "Encoding",
    "EncodingChoice",
    "Kind",
    "StillImage",
    "VideoReader",
    "VideoWriter",
    "check_written",
    "count_packets",
    "is_image",
    "kind_of",
    "name_beside",
    "name_in_folder",
    "picture_of",
    "plan_encoding",
    "probe",
    "read_image",
    "require_unchanged",
    "stamp_of",
    "suffix_for",
    "suffix_note",
    "target_format",
    "write_image",
]
