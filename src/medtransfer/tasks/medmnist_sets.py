"""The facts of the twelve 2-D MedMNIST data sets: classes, official counts, where the images come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from medtransfer.core.task_kind import TaskKind

CHEST_FINDINGS: Final = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia"),
    *("Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
"""Classes of ChestMNIST in label order."""

_ORGANS: Final = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)
_ORGAN_SOURCE: Final = (
    "The image shows one organ, cut from a CT scan of the LiTS challenge along a box drawn around it, in a "
    "soft-tissue window; the organ is to be named."
)
_ORGAN_SPLIT: Final = "Training and validation come from other CT scans than the test images."
_ORGAN_RELEASES: Final = (
    "Later releases hold some images fewer, so two rows of counts are accepted; results on one are not exactly "
    "those on the other."
)


@dataclass(frozen=True)
class MedMNISTSet:
    """The facts of one MedMNIST data set."""

    name: str
    """File stem of the 28-pixel release."""
    title: str
    """One line for people."""
    kind: TaskKind
    """What is predicted."""
    classes: tuple[str, ...]
    """Class names in label order."""
    counts: tuple[tuple[int, int, int], ...]
    """Official train, val and test counts; a second entry where a later release differs."""
    image_set: str
    """Where the images come from."""
    about: str
    """What the images are and what is predicted."""
    split: str
    """How the authors divided them."""
    caution: str = ""
    """Known weakness of the data set."""
    colour: bool = False
    """Whether images have three channels."""
    traps: tuple[str, ...] = ()
    """What goes wrong with this set in particular."""
    licence: str = "CC BY 4.0"
    """Terms of the files."""


MEDMNIST_SETS: Final = (
    MedMNISTSet(
        "pathmnist",
        "Colorectal tissue in histology, nine classes",
        TaskKind.MULTI_CLASS,
        (
            *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle"),
            *("normal colon mucosa", "cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
        ((89_996, 10_004, 7_180),),
        "nct-crc-he-100k",
        "Patches of haematoxylin and eosin slides of colorectal tissue (NCT-CRC-HE-100K and CRC-VAL-HE-7K); the "
        "kind of tissue is to be named.",
        "The test patches come from another centre than the others, so the test measures the step between "
        "laboratories; validation does not.",
        colour=True,
        traps=("A model is selected on patches of the slides it was trained on.",),
    ),
    MedMNISTSet(
        "chestmnist",
        "Fourteen findings in frontal chest X-rays",
        TaskKind.MULTI_LABEL,
        CHEST_FINDINGS,
        ((78_468, 11_219, 22_433),),
        "chestxray14",
        "Frontal chest X-rays of NIH ChestX-ray14 with labels mined from their reports; each of fourteen "
        "findings is present or absent.",
        "This is not the official division of ChestX-ray14, whose test list has 25,596 images.",
        traps=(
            "These are the images of ChestX-ray14: weights trained there have seen them.",
            "The 14 columns are in the order of ChestX-ray14; the authors call Pleural_Thickening 'pleural'.",
            "An image without any finding has 14 zeros; 'no finding' is not a class.",
        ),
    ),
    MedMNISTSet(
        "dermamnist",
        "Pigmented skin lesions, seven classes",
        TaskKind.MULTI_CLASS,
        ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
        ((7_007, 1_003, 2_005),),
        "ham10000",
        "Dermatoscopic photographs of HAM10000; the diagnosis is to be named.",
        "The authors drew 70, 10 and 20 % of the images at random, not by lesion.",
        "Several images of one lesion lie in different official splits, so scores are optimistic.",
        colour=True,
        traps=("The task ham10000 holds the same images in full size, divided by lesion: prefer it.",),
        licence="CC BY-NC 4.0",
    ),
    MedMNISTSet(
        "octmnist",
        "Retinal optical coherence tomography, four classes",
        TaskKind.MULTI_CLASS,
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
        ((97_477, 10_832, 1_000),),
        "kermany-oct",
        "Slices of optical coherence tomography of the retina (Kermany and others, 2018), cut to squares.",
        "The test images are those the source set apart; validation was taken from its training images.",
        traps=("The classes are equal in number in the test images only.",),
    ),
    MedMNISTSet(
        "pneumoniamnist",
        "Pneumonia in paediatric chest X-rays",
        TaskKind.BINARY,
        ("normal", "pneumonia"),
        ((4_708, 524, 624),),
        "kermany-pediatric-cxr",
        "Chest X-rays of children of one hospital (Kermany and others, 2018), cut to squares.",
        "The test images are those the source set apart; validation was taken from its training images.",
        traps=("Some patients have several images, and the file does not say which.",),
    ),
    MedMNISTSet(
        "retinamnist",
        "Diabetic retinopathy grade in fundus photographs",
        TaskKind.MULTI_CLASS,
        ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4"),
        ((1_080, 120, 400),),
        "deepdrid",
        "Fundus photographs of the DeepDRiD challenge, cut to squares; the severity of diabetic retinopathy in "
        "five grades is predicted.",
        "The test images are those the source set apart for validation; validation was taken from its training "
        "images.",
        "Grades are ordered; the metrics treat them as plain classes.",
        colour=True,
        traps=("Several photographs show one patient, and the file does not say which.",),
    ),
    MedMNISTSet(
        "breastmnist",
        "Breast ultrasound: normal or benign against malignant",
        TaskKind.BINARY,
        ("malignant", "normal or benign"),
        ((546, 78, 156),),
        "busi",
        "The 780 breast ultrasound images of BUSI; malignant lesions are told from benign ones and normal tissue.",
        "The authors drew 70, 10 and 20 % of the images.",
        traps=(
            "The positive class, number 1, is 'normal or benign', not 'malignant'.",
            "BUSI holds near duplicates, and many lie in different official splits; the task busi keeps them in one.",
            "With 156 test images an AUC is known to a few points only.",
        ),
    ),
    MedMNISTSet(
        "bloodmnist",
        "Blood cells under the microscope, eight classes",
        TaskKind.MULTI_CLASS,
        (
            *("basophil", "eosinophil", "erythroblast", "immature granulocyte"),
            *("lymphocyte", "monocyte", "neutrophil", "platelet"),
        ),
        ((11_959, 1_712, 3_421),),
        "pbc-blood-cells",
        "Single normal blood cells in stained smears (Acevedo and others, 2020), cut to the centre.",
        "The authors drew 70, 10 and 20 % of the images, not by person.",
        colour=True,
    ),
    MedMNISTSet(
        "tissuemnist",
        "Human kidney cortex cells, eight classes",
        TaskKind.MULTI_CLASS,
        (
            *("collecting duct or connecting tubule", "distal convoluted tubule"),
            *("glomerular endothelial cell", "interstitial endothelial cell", "leukocyte", "podocyte"),
            *("proximal tubule segment", "thick ascending limb"),
        ),
        ((165_466, 23_640, 47_280),),
        "bbbc051",
        "Cells of human kidney cortex under the fluorescence microscope (BBBC051), as maximum over the depth.",
        "The authors drew 70, 10 and 20 % of the cells, which come from few specimens.",
        traps=(
            "The originals are 32 pixels wide: the larger sizes are enlargements and hold no more detail.",
        ),
    ),
    MedMNISTSet(
        "organamnist",
        "Abdominal organs in axial CT, eleven classes",
        TaskKind.MULTI_CLASS,
        _ORGANS,
        ((34_581, 6_491, 17_778), (34_561, 6_491, 17_778)),
        "lits",
        _ORGAN_SOURCE,
        _ORGAN_SPLIT,
        traps=(_ORGAN_RELEASES,),
    ),
    MedMNISTSet(
        "organcmnist",
        "Abdominal organs in coronal CT, eleven classes",
        TaskKind.MULTI_CLASS,
        _ORGANS,
        ((13_000, 2_392, 8_268), (12_975, 2_392, 8_216)),
        "lits",
        _ORGAN_SOURCE,
        _ORGAN_SPLIT,
        traps=(_ORGAN_RELEASES,),
    ),
    MedMNISTSet(
        "organsmnist",
        "Abdominal organs in sagittal CT, eleven classes",
        TaskKind.MULTI_CLASS,
        _ORGANS,
        ((13_940, 2_452, 8_829), (13_932, 2_452, 8_827)),
        "lits",
        _ORGAN_SOURCE,
        _ORGAN_SPLIT,
        traps=(_ORGAN_RELEASES,),
    ),
)
"""All sets."""
