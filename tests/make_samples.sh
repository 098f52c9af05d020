#!/usr/bin/env bash
# Makes one real file of every format pgmedia keeps: make_samples.sh FOLDER
#
# Run by hand when a sample has to change; the files themselves are committed in
# poller/sandbox/samples. The makers are deliberately not the libraries that
# tests/test_samples.py reads the files back with. Everything in the files is
# drawn, sounded or written here.
#
# Debian packages:
#   imagemagick webp fonts-dejavu-core        images
#   sox libsox-fmt-all lame opus-tools        sound
#   gstreamer1.0-tools gstreamer1.0-plugins-{base,good,bad,ugly}
#                                             AAC sound and video
#   libreoffice-writer-nogui libreoffice-calc-nogui
#                                             documents
#   faketime                                  a fixed clock for the dates inside
#
# With the clock fixed, a second run gives the same bytes, except for WebM (its
# muxer draws random identifiers) and PDF (LibreOffice draws a random /ID).
set -euo pipefail

out=${1:?usage: make_samples.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

export LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH=1767225600
clock='2026-01-01 00:00:00'

# --- images: a sky, a sun and a name -----------------------------------------
draw() { # draw BACKGROUND FILE [OPTION...]
  local background=$1 file=$2
  shift 2
  convert -size 160x120 "$background" \
    -fill '#ffd23f' -draw 'circle 118,38 118,18' \
    -fill '#0b6e4f' -draw 'polygon 0,120 60,60 120,120' \
    -font DejaVu-Sans -pointsize 18 -fill white -gravity south -annotate +0+8 pgmedia \
    -strip -depth 8 "$@" "$file"
}
sky='gradient:#1d4e89-#7dcfb6'
draw "$sky" "$out/sample.jpg" -quality 80
draw "$sky" "$out/sample.png" -colors 64 -define png:exclude-chunks=date,time
draw "$sky" BMP3:"$out/sample.bmp" -resize 80x60 -type truecolor
draw "$sky" "$out/sample.tiff" -resize 80x60 -compress lzw
# A sticker: lossy, with a transparent background, hence the extended layout.
draw xc:none sticker.png
cwebp -quiet -q 80 sticker.png -o "$out/sample.webp"
for x in 20 50 80 110; do
  convert -size 120x60 xc:'#1d4e89' -fill '#ffd23f' -draw "circle $x,30 $x,14" "frame$x.png"
done
convert -delay 20 -loop 0 frame20.png frame50.png frame80.png frame110.png \
  -strip "$out/sample.gif"
# convert writes what gamma it has of itself, whatever -strip says.
perl -0777 -pi -e 's/\x21\xff\x0bImageMagick\x0dgamma=0\.45455\x00//g' "$out/sample.gif"

# --- sound: three rising notes ------------------------------------------------
tune() { # tune RATE FILE
  sox -R -n -r "$1" -c 1 -b 16 "$2" \
    synth 0.3 sine 440 : synth 0.3 sine 554 : synth 0.3 sine 659 gain -6
}
tune 8000 "$out/sample.wav"
tune 16000 tune.wav
lame --quiet -m m -b 32 tune.wav "$out/sample.mp3"
opusenc --quiet --serial 1 --bitrate 24 tune.wav "$out/sample.ogg"
sox -R "$out/sample.wav" -t amr-nb -C 7 "$out/sample.amr"

# --- AAC and video: a moving ball under a tone --------------------------------
play() { faketime -f "$clock" gst-launch-1.0 -q "$@"; }
aac=(voaacenc bitrate=24000 ! aacparse)
voice=(filesrc location="$work/tune.wav" ! wavparse)
play "${voice[@]}" ! "${aac[@]}" ! audio/mpeg,stream-format=adts \
  ! filesink location="$out/sample.aac"
play "${voice[@]}" ! "${aac[@]}" ! mp4mux ! filesink location="$out/sample.m4a"
# mp4mux brands any MP4 "mp42"; a file of sound alone goes by "M4A ".
printf 'M4A ' | dd of="$out/sample.m4a" bs=1 seek=8 conv=notrunc status=none

ball=(videotestsrc pattern=ball num-buffers=20
  ! 'video/x-raw,format=I420,width=128,height=96,framerate=10/1')
tone=(audiotestsrc freq=440 volume=0.3 num-buffers=20)
tone8=("${tone[@]}" samplesperbuffer=800 ! 'audio/x-raw,format=S16LE,rate=8000,channels=1')
tone16=("${tone[@]}" samplesperbuffer=1600 ! 'audio/x-raw,format=S16LE,rate=16000,channels=1')
tone48=("${tone[@]}" samplesperbuffer=4800 ! 'audio/x-raw,format=S16LE,rate=48000,channels=1')
h264=(x264enc threads=1 ! 'video/x-h264,profile=baseline' ! h264parse)
play mp4mux name=mux faststart=true ! filesink location="$out/sample.mp4" \
  "${ball[@]}" ! "${h264[@]}" ! mux. "${tone16[@]}" ! "${aac[@]}" ! mux.
play qtmux name=mux ! filesink location="$out/sample.mov" \
  "${ball[@]}" ! "${h264[@]}" ! mux. "${tone16[@]}" ! "${aac[@]}" ! mux.
play 3gppmux name=mux ! filesink location="$out/sample.3gp" \
  "${ball[@]}" ! "${h264[@]}" ! mux. "${tone8[@]}" ! amrnbenc ! mux.
play avimux name=mux ! filesink location="$out/sample.avi" \
  "${ball[@]}" ! jpegenc quality=60 ! mux. \
  "${tone16[@]}" ! lamemp3enc target=bitrate bitrate=32 cbr=true mono=true ! mpegaudioparse ! mux.
play webmmux name=mux ! filesink location="$out/sample.webm" \
  "${ball[@]}" ! vp8enc threads=1 deadline=0 target-bitrate=60000 ! mux. \
  "${tone48[@]}" ! opusenc bitrate=24000 ! mux.

# --- documents -----------------------------------------------------------------
cat >"$out/sample.txt" <<'TEXT'
pgmedia sample
Olá! A mídia chegou, e o texto traz acentuação e um emoji: 🎉
TEXT

cat >letter.fodt <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
  xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.3"
  office:mimetype="application/vnd.oasis.opendocument.text">
 <office:body><office:text>
  <text:h text:outline-level="1">pgmedia sample</text:h>
  <text:p>Olá! A mídia chegou, e o texto traz acentuação.</text:p>
 </office:text></office:body>
</office:document>
XML
cat >table.csv <<'CSV'
pgmedia sample,files
images,6
audio,6
video,5
documents,6
CSV
office() { # office SOURCE TYPE[:FILTER] [OPTION...]
  faketime "$clock" soffice --headless -env:UserInstallation="file://$work/profile" \
    --convert-to "$2" --outdir "$work" "${@:3}" "$1" >/dev/null
}
office letter.fodt pdf:writer_pdf_Export
office letter.fodt 'doc:MS Word 97'
office letter.fodt 'docx:MS Word 2007 XML'
office table.csv 'xls:MS Excel 97' --infilter=CSV:44,34,76
office table.csv 'xlsx:Calc MS Excel 2007 XML' --infilter=CSV:44,34,76
for type in pdf doc docx; do mv "letter.$type" "$out/sample.$type"; done
for type in xls xlsx; do mv "table.$type" "$out/sample.$type"; done

ls -l "$out"
