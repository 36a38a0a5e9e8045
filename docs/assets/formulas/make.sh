#!/bin/sh
# The font of the formulas, from that of Debian's package fonts-stix: apt-get install fonts-stix, then sh make.sh.
# fontTools comes with matplotlib. Names are replaced, as the licence asks of a part of the font.
set -eu
cd "$(dirname "$0")"
python -m fontTools.subset "${1:-/usr/share/fonts/opentype/stix-word/STIXMath-Regular.otf}" \
  --output-file=formulas.woff --flavor=woff --unicodes-file=subset.txt \
  --layout-features='*' --name-IDs='*' --obfuscate-names --no-hinting --desubroutinize --no-recalc-timestamp --drop-tables+=FFTM
