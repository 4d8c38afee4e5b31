"""Words for parts of the body in English and German, by the six regions of the CT body region task."""

from __future__ import annotations

from typing import Final

REGIONS: Final = ("head-neck", "thorax", "abdomen", "extremity", "pelvis", "spine")
"""Classes in label order; where words of several stand together, the first of these wins."""

_HEAD_NECK = """
    head heads skull skulls brain cranium cranial neurocranium cerebral cerebrum cerebellum face facial
    orbit orbits orbita sinus sinuses jaw mandible maxilla ear ears petrous neck throat larynx pharynx thyroid
    kopf köpfe schädel schädelbasis schädeldach hirn gehirn hirnschädel kleinhirn gesicht gesichtsschädel
    mittelgesicht auge augen augenhöhle nase nasennebenhöhle nasennebenhöhlen nnh kiefer oberkiefer
    unterkiefer ohr ohren felsenbein felsenbeine neurokranium kranium kranial hals halsweichteile kehlkopf
    schilddrüse cct headneck neckchest neckchestabdomen neckchestabdpelv headchest
"""
_THORAX = """
    thorax tho thx chest torso lung lungs pulmonary mediastinum heart cardiac coronary coronaries breast
    breasts rib ribs sternum lunge lungen herz koronar koronarien brust brustkorb brustbein mamma rippe rippen
    chestabdomen chestabdpelvis
"""
_ABDOMEN = """
    abdomen abd abdominal belly liver kidney kidneys renal pancreas spleen stomach bowel colon adrenal
    adrenals gallbladder oberbauch mittelbauch unterbauch bauch bauchraum leber niere nieren nebenniere
    nebennieren pankreas bauchspeicheldrüse milz magen darm dünndarm dickdarm kolon gallenblase
    abdomenpelvis
"""
_EXTREMITY = """
    extremity extremities limb limbs arm arms forearm forearms humerus radius ulna elbow elbows shoulder
    shoulders scapula clavicle clavicles wrist wrists hand hands finger fingers thumb thumbs leg legs thigh
    thighs femur femora knee knees patella tibia fibula calf ankle ankles foot feet heel heels calcaneus toe
    toes extremität extremitäten oberarm oberarme unterarm unterarme ellenbogen ellbogen ellenbogengelenk
    schulter schultern schultergelenk schulterblatt schlüsselbein klavikula handgelenk handgelenke
    handwurzel hände daumen bein beine oberschenkel unterschenkel knie kniegelenk kniegelenke kniescheibe
    wade sprunggelenk sprunggelenke osg fuß füße vorfuß mittelfuß rückfuß ferse fersenbein zeh zehe zehen
"""
_PELVIS = """
    hip hips pelvis pelvic acetabulum sacroiliac isg bladder prostate uterus hüfte hüften hüftgelenk
    hüftgelenke schenkelhals becken beckenring beckenboden azetabulum iliosakralgelenk iliosakralgelenke harnblase
    prostata gebärmutter
"""
_SPINE = """
    spine spines spinal ws hws bws lws vertebra vertebrae vertebral wirbel wirbelkörper wirbelsäule
    halswirbelsäule halswirbel brustwirbelsäule brustwirbel lendenwirbelsäule lendenwirbel lumbar lumbal
    sacrum sakrum coccyx kreuzbein steißbein cspine tspine lspine sspine ctspine tlspine lsspine
"""
TERMS: Final = tuple(
    frozenset(words.split()) for words in (_HEAD_NECK, _THORAX, _ABDOMEN, _EXTREMITY, _PELVIS, _SPINE)
)
"""Whole words of each region in lower case; those with umlauts or ß are also known by ae, oe, ue and ss."""

WHOLE_BODY: Final = (
    *("whole body", "wholebody", "full body", "total body", "ganzkörper", "ganzkörperuntersuchung"),
    "polytrauma",
)
"""Phrases that say that a scan covers several regions: its slices are of no known one."""
