#!/usr/bin/env bash
# Makes real files of every format with as many encoders as Debian has: make_matrix.sh FOLDER
#
# One folder for each format, one file for each encoder or way to use it. What Python libraries
# write is added by tests/system/test_matrix.py. Packages: see .ci/run.
set -euo pipefail

out=${1:?usage: make_matrix.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export LC_ALL=C.UTF-8
mkdir -p "$out"/{jpg,png,gif,webp,bmp,tiff,mp3,ogg,wav,aac,amr,m4a,mp4,webm,mov,3gp,avi,pdf,txt,doc,docx,xls,xlsx}

# --- documents, beside the rest: LibreOffice takes its time ---------------------
cat >letter.fodt <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
  xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.3"
  office:mimetype="application/vnd.oasis.opendocument.text">
 <office:body><office:text>
  <text:h text:outline-level="1">A letter</text:h><text:p>Olá! O texto traz acentuação.</text:p>
 </office:text></office:body>
</office:document>
XML
printf '<html><body><h1>A page</h1><table><tr><td>1</td><td>2</td></tr></table></body></html>' >page.html
printf '{\\rtf1\\ansi A {\\b rich} text.\\par}' >rich.rtf
printf 'One line.\nAnother line.\n' >plain.txt
printf 'name,number\nimages,6\naudio,6\n' >table.csv
printf 'a;b\n1,5;2\n' >semicolons.csv
seq 1 500 | sed 's/.*/&,=A&*2,text &/' >long.csv
convert() { command convert "$@"; }
office() { # office PROFILE FOLDER TYPE:FILTER SOURCE...
    soffice --headless -env:UserInstallation="file://$work/profile-$1" --convert-to "$3" --outdir "$2" "${@:4}" >/dev/null 2>&1
}
texts=(letter.fodt rich.rtf plain.txt)
tables=(table.csv semicolons.csv long.csv)
(
    office a "$out/doc" 'doc:MS Word 97' "${texts[@]}"
    office a "$work/word95" 'doc:MS Word 97' --infilter=writer_web_HTML page.html
    office a "$work/docx-again" 'docx:Office Open XML Text' "${texts[@]}"
    office a "$out/docx" 'docx:MS Word 2007 XML' "${texts[@]}"
    office a "$work/doc-again" 'doc:MS Word 97' "$out/docx/letter.docx" "$work/docx-again/rich.docx"
    office a "$out/pdf" pdf:writer_pdf_Export letter.fodt rich.rtf
) &
writer=$!
(
    office b "$out/xls" 'xls:MS Excel 97' "${tables[@]}"
    office b "$out/xlsx" 'xlsx:Calc MS Excel 2007 XML' "${tables[@]}"
    office b "$work/xlsx-again" 'xlsx:Calc Office Open XML' "${tables[@]}"
    office b "$work/xls-again" 'xls:MS Excel 97' "$out/xlsx/table.xlsx" "$work/xlsx-again/long.xlsx"
    office b "$out/pdf" pdf:calc_pdf_Export table.csv
) &
calc=$!

# --- images -------------------------------------------------------------------------
convert -size 320x240 gradient:#1d4e89-#ffd23f -fill white -draw 'circle 160,120 160,60' -depth 8 sky.png
convert sky.png -crop 160x120 +repage moving-%d.png
convert sky.png sky.pnm
quiet=(ffmpeg -nostdin -loglevel error -y)
for type in jpg png gif webp bmp tiff; do
    convert sky.png "$out/$type/imagemagick.$type"
    gm convert sky.png "$out/$type/graphicsmagick.$type"
    "${quiet[@]}" -i sky.png "$out/$type/ffmpeg.$type"
done
convert sky.png -interlace JPEG -sampling-factor 4:2:0 -quality 40 "$out/jpg/progressive.jpg"
convert sky.png -colorspace CMYK "$out/jpg/cmyk.jpg"
convert sky.png -colorspace Gray "$out/jpg/gray.jpg"
convert sky.png -colors 16 PNG8:"$out/png/palette.png"
convert sky.png -depth 16 "$out/png/deep.png"
convert -delay 20 moving-*.png "$out/gif/animated.gif"
convert sky.png -transparent white "$out/gif/transparent.gif"
ppmquant 64 sky.pnm 2>/dev/null | ppmtogif 2>/dev/null >"$out/gif/netpbm.gif"
cwebp -quiet sky.png -o "$out/webp/cwebp.webp"
cwebp -quiet -lossless sky.png -o "$out/webp/cwebp-lossless.webp"
convert sky.png BMP2:"$out/bmp/version2.bmp"
convert sky.png -colors 16 BMP3:"$out/bmp/palette.bmp"
ppmtobmp sky.pnm 2>/dev/null >"$out/bmp/netpbm.bmp"
pnmtopng sky.pnm 2>/dev/null >"$out/png/netpbm.png"
pnmtojpeg sky.pnm 2>/dev/null >"$out/jpg/netpbm.jpg"
pamtotiff -lzw -truecolor sky.pnm 2>/dev/null >"$out/tiff/netpbm.tiff"
convert sky.png -compress JPEG "$out/tiff/jpeg.tiff"
convert sky.png -monochrome -compress Group4 "$out/tiff/fax.tiff"
convert moving-*.png -compress Zip "$out/tiff/pages.tiff"

# --- sound --------------------------------------------------------------------------
tone() { sox -R -n -r "$1" -c "$2" -b 16 "$3" synth 1.5 sine 440 sine 554 remix - gain -6; }
tone 44100 1 tone.wav
tone 8000 1 voice.wav
sox tone.wav -c 2 stereo.wav
convert sky.png cover.jpg
lame --quiet -b 64 tone.wav "$out/mp3/lame.mp3"
lame --quiet -V 4 --tt title --ta artist --add-id3v2 stereo.wav "$out/mp3/lame-vbr-tagged.mp3"
lame --quiet --resample 11.025 -b 16 -m m tone.wav "$out/mp3/lame-mpeg25.mp3"
sox stereo.wav -C 128 "$out/mp3/sox.mp3"
"${quiet[@]}" -i stereo.wav -i cover.jpg -map 0 -map 1 -c:v mjpeg -disposition:v attached_pic "$out/mp3/ffmpeg-cover.mp3"
"${quiet[@]}" -i stereo.wav -c:a mp2 -f mp2 "$out/mp3/ffmpeg-layer2.mp3"
opusenc --quiet voice.wav "$out/ogg/opusenc.ogg"
oggenc -Q tone.wav -o "$out/ogg/oggenc.ogg"
sox tone.wav "$out/ogg/sox.ogg"
"${quiet[@]}" -i voice.wav -c:a libopus -b:a 16k "$out/ogg/ffmpeg-opus.ogg"
"${quiet[@]}" -i stereo.wav -c:a libvorbis "$out/ogg/ffmpeg-vorbis.ogg"
cp tone.wav "$out/wav/sox.wav"
sox tone.wav -b 24 "$out/wav/sox-24.wav"
sox tone.wav -e float -b 32 "$out/wav/sox-float.wav"
sox tone.wav -e mu-law "$out/wav/sox-mu-law.wav"
sox tone.wav -t wav - | cat >"$out/wav/sox-pipe.wav"
"${quiet[@]}" -i tone.wav -f wav - | cat >"$out/wav/ffmpeg-pipe.wav"
"${quiet[@]}" -i tone.wav -c:a adpcm_ms "$out/wav/ffmpeg-adpcm.wav"
for rate in 8000 16000 44100 48000; do
    "${quiet[@]}" -i tone.wav -ar "$rate" -c:a aac "$out/aac/ffmpeg-$rate.aac"
done
"${quiet[@]}" -i stereo.wav -c:a aac -write_id3v2 1 "$out/aac/ffmpeg-tagged.aac"
for mode in 0 2 4 6 7; do sox voice.wav -t amr-nb -C "$mode" "$out/amr/sox-$mode.amr"; done
play() { gst-launch-1.0 -q "$@"; }
voice=(filesrc location=tone.wav ! wavparse ! audioconvert)
play "${voice[@]}" ! voaacenc ! aacparse ! audio/mpeg,stream-format=adts ! filesink location="$out/aac/gstreamer.aac"
play "${voice[@]}" ! lamemp3enc ! filesink location="$out/mp3/gstreamer.mp3"
play "${voice[@]}" ! vorbisenc ! oggmux ! filesink location="$out/ogg/gstreamer.ogg"
play "${voice[@]}" ! wavenc ! filesink location="$out/wav/gstreamer.wav"
play "${voice[@]}" ! voaacenc ! aacparse ! mp4mux ! filesink location="$out/m4a/gstreamer.m4a"
"${quiet[@]}" -i tone.wav "$out/m4a/ffmpeg.m4a"
"${quiet[@]}" -i tone.wav -c:a alac "$out/m4a/ffmpeg-alac.m4a"
"${quiet[@]}" -i tone.wav -f mp4 "$out/m4a/ffmpeg-in-mp4.m4a"
"${quiet[@]}" -i tone.wav -i cover.jpg -map 0 -map 1 -c:v mjpeg -disposition:v attached_pic "$out/m4a/ffmpeg-cover.m4a"

# --- film -----------------------------------------------------------------------------
film=(-f lavfi -i testsrc=size=176x144:rate=10:duration=1 -i voice.wav -shortest)
encode() { "${quiet[@]}" "${film[@]}" -pix_fmt yuv420p "$@"; }
encode -c:v libx264 "$out/mp4/x264.mp4"
encode -c:v libx264 -movflags +faststart "$out/mp4/x264-faststart.mp4"
encode -c:v libx264 -movflags frag_keyframe+empty_moov "$out/mp4/x264-fragments.mp4"
encode -c:v mpeg4 "$out/mp4/mpeg4.mp4"
encode -c:v libx265 -x265-params log-level=none -tag:v hvc1 "$out/mp4/x265.mp4"
encode -c:v libvpx -c:a libvorbis "$out/webm/vp8.webm"
encode -c:v libvpx-vp9 -c:a libopus "$out/webm/vp9.webm"
encode -c:v libvpx -an -f webm - | cat >"$out/webm/pipe.webm"
mkvmerge -q --webm -o "$out/webm/mkvmerge.webm" "$out/webm/vp9.webm"
encode -c:v libx264 "$out/mov/x264.mov"
encode -c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le "$out/mov/mjpeg.mov"
encode -c:v prores -pix_fmt yuv422p10le "$out/mov/prores.mov"
encode -c:v libx264 -an "$out/mov/silent.mov"
encode -c:v h263 -an "$out/3gp/h263.3gp"
encode -c:v h263 -c:a aac "$out/3gp/h263-aac.3gp"
encode -c:v mpeg4 -c:a aac "$out/3gp/mpeg4.3gp"
encode -c:v libx264 -c:a aac "$out/3gp/x264.3gp"
encode -c:v mpeg4 -c:a libmp3lame "$out/avi/mpeg4.avi"
encode -c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le "$out/avi/mjpeg.avi"
encode -c:v rawvideo -an "$out/avi/raw.avi"
encode -c:v libx264 "$out/avi/x264.avi"
ball=(videotestsrc pattern=ball num-buffers=10 ! 'video/x-raw,format=I420,width=176,height=144,framerate=10/1')
h264=(x264enc threads=1 ! h264parse)
play "${ball[@]}" ! "${h264[@]}" ! mp4mux ! filesink location="$out/mp4/gstreamer.mp4"
play "${ball[@]}" ! "${h264[@]}" ! qtmux ! filesink location="$out/mov/gstreamer.mov"
play "${ball[@]}" ! "${h264[@]}" ! 3gppmux ! filesink location="$out/3gp/gstreamer.3gp"
play "${ball[@]}" ! jpegenc ! avimux ! filesink location="$out/avi/gstreamer.avi"
play "${ball[@]}" ! vp8enc threads=1 deadline=1 ! webmmux ! filesink location="$out/webm/gstreamer.webm"

# --- text, and more documents ---------------------------------------------------------
printf 'Olá, tudo bem?\nA mídia chegou. 🎉\n' >"$out/txt/utf-8.txt"
printf '\xef\xbb\xbfOlá\r\n' >"$out/txt/bom.txt"
printf 'Olá, ação\r\n' | iconv -t latin1 >"$out/txt/latin-1.txt"
printf 'Olá, ação\r\n' | iconv -t utf-16 >"$out/txt/utf-16.txt"
printf '12/01/2026, 10:00 - Ana: oi\n12/01/2026, 10:01 - Bia: <Media omitted>\n' >"$out/txt/chat.txt"
cp table.csv "$out/txt/table.txt"
printf '{"a": [1, 2]}\n' >"$out/txt/json.txt"
printf '.TH TEST 1\n.SH NAME\ntest \\- a page\n' | groff -man -Tpdf >"$out/pdf/groff.pdf"
printf '.TH TEST 1\n.SH NAME\ntest \\- a page\n' | groff -man -Tps >page.ps
ps2pdf page.ps "$out/pdf/ghostscript.pdf"
gm convert sky.png "$out/pdf/graphicsmagick.pdf"
pdftocairo -pdf "$out/pdf/groff.pdf" "$out/pdf/cairo.pdf"
pdftocairo -jpeg -singlefile "$out/pdf/groff.pdf" "$out/jpg/poppler"
pdftocairo -png -singlefile "$out/pdf/groff.pdf" "$out/png/poppler"
pdftocairo -tiff -singlefile "$out/pdf/groff.pdf" poppler && mv poppler.tif "$out/tiff/poppler.tiff"
pdftotext "$out/pdf/groff.pdf" "$out/txt/poppler.txt"

wait "$writer" "$calc"
mv word95/page.doc "$out/doc/page.doc"
for file in doc-again/* docx-again/* xls-again/* xlsx-again/*; do
    type=${file##*.}
    mv "$file" "$out/$type/again-$(basename "$file")"
done
