"""Every picture of a folder, with its faces and plates covered, into another folder; the models are loaded once.

    python samples/blur_folder.py photos photos_anonymized

`anonymizer run photos -o photos_anonymized` does this too, and more of it: metadata, resuming, a report.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from anonymizer import Anonymizer, AnonymizerError


def main(source: str, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    with Anonymizer() as anonymizer:
        for path in sorted(Path(source).iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                print(f"{path.name}: not a picture, left out")
                continue
            try:
                sealed = anonymizer.image(image.astype(np.uint8, copy=False))
            except AnonymizerError as error:
                print(f"{path.name}: {error.problem}, nothing written")
                continue
            cv2.imwrite(str(Path(target) / path.name), sealed)
            print(f"{path.name}: done")


if __name__ == "__main__":
    main(*sys.argv[1:3])
