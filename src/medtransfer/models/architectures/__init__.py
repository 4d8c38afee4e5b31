"""Networks that neither timm nor torchvision defines; one file each, built late by ``module:function``."""
