"""Cues for scripts written without spaces between words: substrings, not words.

Chinese, Japanese and Korean; the first orientation only. All else is read from the shape.
"""

from training.cues import Cue

UNSPACED_CUES = (
    Cue("translation", 3.0, "翻译 翻訳 번역"),
    Cue("classification", 3.0, "分类 分類"),
    Cue("extraction", 3.0, "提取 抽出"),
    Cue("summarising", 3.0, "总结 摘要 要約 요약"),
    Cue("drafting", 2.0, "邮件 メール 이메일 写一封 信"),
    Cue("analysis", 2.5, "分析 比较 比較 解释 説明 설명 为什么 なぜ 影响"),
    Cue("code", 2.5, "代码 函数 コード 関数 코드 python 编程 プログラム sql"),
    Cue("mathematics", 3.0, "证明 証明 증명"),
    Cue("mathematics", 2.0, "計算 计算 方程 方程式 概率 確率"),
    Cue("creative", 3.0, "故事 小说 物語 小説 诗 이야기 童话 笑话 시를"),
    Cue("planning", 3.0, "计划 計画 계획 行程 旅行プラン"),
    Cue("chat", 3.0, "你好 谢谢 こんにちは ありがとう 안녕"),
    Cue("faq", 1.5, "什么 哪里 どこ 何ですか 어디 多少 几点 誰 いつ"),
    Cue("reasoning", 3.0, "推理 谜题 なぞなぞ"),
)
